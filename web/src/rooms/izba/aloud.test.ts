import { describe, expect, it } from 'vitest';

import { languageOf, pieces, plainWords } from './aloud';

describe('reading aloud', () => {
  it('knows Polish without a single Polish letter, English, and leaves the rest to the page', () => {
    expect(languageOf('Dobry wieczór, to jest watra na hali', 'en')).toBe('pl');
    expect(languageOf('Siadaj przy ogniu i nie pytaj, co to jest', 'en')).toBe('pl');
    expect(languageOf('The fire is lit, and you are welcome', 'pl')).toBe('en');
    expect(languageOf('The bus from Łódź was late, and it was cold', 'pl')).toBe('en');
    expect(languageOf('Hm, 42', 'pl')).toBe('pl');
    expect(languageOf('Hm, 42', 'en')).toBe('en');
  });
  it('says words, not marks: no code, no table, no address', () => {
    const said = plainWords('# Watra\n\n- **suche** drewno, [jak tu](https://a.b/c)\n- `kindle()`\n\n```python\nprint("x | y")\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\nCzas to $t$ sekund:\n\n$$t = B/v$$\n\n> Koniec. https://x.y/z');
    expect(said).not.toMatch(/[*#|`>$\]]|print|https|---/);
    for (const word of ['Watra', 'suche drewno, jak tu', 'kindle()', 'Czas to t sekund', 'Koniec.']) expect(said).toContain(word);
    expect(plainWords('Przed\n\n```\nniedomknięty kod')).toBe('Przed');
  });
  it('reads no code in a list or a quotation, no box of a task, no table without its outer bars; a product keeps its star', () => {
    const said = plainWords('1. Zapisz plik:\n\n   ```sh\n   rm -rf stare\n   ```\n\n2. Gotowe.\n\n> Tak:\n>\n> ~~~py\n> print(1)\n> ~~~\n>\n> i **już**.\n\n- [x] drewno\n- [ ] woda\n\na | b\n---|---\n1 | 2\n\nDwa razy trzy: 2 * 3.\n\n    wcięty kod');
    expect(said).not.toMatch(/rm|stare|print|[[\]`~|>]|wcięty|a b/);
    for (const words of ['1. Zapisz plik:', '2. Gotowe.', 'Tak:', 'i już.', 'drewno', 'woda', '2 * 3.']) expect(said).toContain(words);
    expect(plainWords('<https://a.b/c> i [https://a.b](https://a.b)')).toBe('… i …');
  });
  it('tells prices from formulas', () => {
    expect(plainWords('Kosztuje $5, a jutro **$6.50** albo 7 zł.')).toBe('Kosztuje $5, a jutro $6.50 albo 7 zł.');
    expect(plainWords('It costs $5-$6, or \\$7.')).toBe('It costs $5-$6, or $7.');
    expect(plainWords('Gdzie $v$ i \\(B\\) to za $3 dziennie')).toBe('Gdzie v i B to za $3 dziennie');
    expect(plainWords('Czas:\n\n$$\nt = \\frac{B}')).toBe('Czas:\n\n …'); // cut off in the middle
    expect(plainWords('Czas:\n\n\\[ t = B\n\nDalej.')).toMatch(/^Czas:\s+…\s+Dalej\.$/);
    expect(plainWords('zmienna `na_hali` i __ważne__ słowo, 2 \\* 3')).toBe('zmienna na hali i ważne słowo, 2 * 3');
  });
  it('speaks in pieces a browser does not swallow, each in its language, and loses no word', () => {
    const long = Array.from({ length: 60 }, (_, i) => `Zdanie numer ${i} jest na hali.`).join(' ');
    const said = pieces(`${long}\n\nThis is the end of it, and you may go.`, 'pl');
    expect(Math.max(...said.map((p) => p.text.length))).toBeLessThanOrEqual(240);
    expect(said.filter((p) => p.language === 'pl').map((p) => p.text).join(' ')).toBe(long);
    expect(said.at(-1)).toEqual({ text: 'This is the end of it, and you may go.', language: 'en' });
    const endless = 'słowo '.repeat(200).trim();
    expect(pieces(endless, 'pl').map((p) => p.text).join(' ')).toBe(endless);
    expect(pieces('```\ncode\n```\n---\n', 'pl')).toEqual([]);
  });
});
