// The promise of the stream: 300 answers, cut at random, give the DOM of the whole text, and no frozen node is ever replaced.
import { describe, expect, it, vi } from 'vitest';

import { MarkdownStream } from './stream';

/** What the streams of this file have given the lexer, in characters. */
const work = vi.hoisted(() => ({ lexed: 0 }));
vi.mock('./grammar', async (original) => {
  const real = await original<typeof import('./grammar')>();
  return { ...real, lex: (text: string, links: Parameters<typeof real.lex>[1]) => { work.lexed += text.length; return real.lex(text, links); } };
});

function random(seed: number): () => number {
  let state = seed;
  return () => { state = (state + 0x6d2b79f5) | 0; let x = Math.imul(state ^ (state >>> 15), 1 | state); x = (x + Math.imul(x ^ (x >>> 7), 61 | x)) ^ x; return ((x ^ (x >>> 14)) >>> 0) / 4294967296; };
}

const PIECES = ['Zażółć **gęślą** jaźń.', '# Nagłówek', '## Drugi *poziom*', '- jeden\n- dwa\n  - pod dwa\n- trzy', '- luźna\n\n- lista\n\n  z akapitem', '1. raz\n2. dwa\n3. trzy', '```python\ndef f(x):\n\n    return x\n```', '```\nbez nazwy\n', '~~~js\nlet a = `b`;\n~~~',
  '| a | b |\n|:--|--:|\n| 1 | **2** |\n| 3 | 4 |', '> cytat\n> dalej\n\n> drugi', '$$\na = \\frac{b}{c}\n- d\n$$', '$$ otwarte\nbez końca', '\\[ x^2 \\]', 'W wierszu $a_1$ i \\(b\\), za 5$ albo $6.', 'tekst\n===', 'tekst\n---', '***', '* * *', 'akapit\n* * *\ndalej', '    wcięty kod\n\n    dalej',
  '[słowo][ref] i [link](https://example.org "tytuł")', '[ref]: https://example.org/ref', '<script>alert(1)</script>', '<div style="x">html</div>', 'linia  \nłamana', '- [ ] zadanie\n- [x] gotowe', '`kod` i ``drugi ` kod``', '![obraz](http://x/y.png)', 'a\n# \nb', 'a\n#b', '*niezamknięte i **grube', '1) inna\n2) lista', 'http://example.org/auto', 'a | b\n--|--\n1 | 2', '&amp; &lt; <', 'x\n- \n- y', 'koniec\\'];

function answer(next: () => number): string {
  const n = 1 + Math.floor(next() * 9);
  return Array.from({ length: n }, () => PIECES[Math.floor(next() * PIECES.length)] + (next() < 0.8 ? '\n\n' : '\n')).join('').slice(next() < 0.1 ? 1 : 0);
}

const dom = (text: string) => { const box = document.createElement('div'); new MarkdownStream(box).update(text, true); return box; };

describe('MarkdownStream', () => {
  it('ends as the one-shot DOM, wherever 300 answers are cut, and replaces no frozen node', () => {
    for (let seed = 1; seed <= 300; seed++) {
      const next = random(seed);
      const text = answer(next);
      const box = document.createElement('div');
      const settled = new Set<Element>();
      const stream = new MarkdownStream(box, (element) => settled.add(element));
      for (let at = 0; at < text.length; ) {
        at = Math.min(text.length, at + 1 + Math.floor(next() * (seed % 4 === 0 ? 5 : 70)));
        stream.update(text.slice(0, at), false);
        for (const element of settled) expect(box.contains(element), `seed ${seed} at ${at}: ${JSON.stringify(text)}`).toBe(true);
      }
      stream.update(text, true);
      expect(box.innerHTML, `seed ${seed}: ${JSON.stringify(text)}`).toBe(dom(text).innerHTML);
      expect(box.isEqualNode(dom(text)), `seed ${seed}: texts that were not joined`).toBe(true);
      expect(settled.size).toBe(box.children.length);
    }
  });

  it('on a Polish page keeps words of one letter and numbers with what follows, in prose alone, wherever the answer is cut', () => {
    document.documentElement.lang = 'pl';
    try {
      const text = 'A **potem** i w izbie, o 5 rano.\n\n- z nią `i w kodzie`\n\n```\na w i 5 x\n```\n\n| w chacie | 40 GB |\n|--|--|\n| a u nas | $a i b$ |\n';
      const whole = dom(text);
      expect(whole.textContent?.replaceAll('\u00a0', '~')).toContain('i~w~izbie, o~5~rano.');
      expect(whole.querySelector('pre')?.textContent).toBe('a w i 5 x');
      expect(whole.querySelector('li code')?.textContent).toBe('i w kodzie');
      expect(whole.querySelector('.maths')?.textContent).toContain('a i b');
      expect(whole.querySelector('td')?.textContent).toBe('a\u00a0u\u00a0nas');
      for (let step = 1; step <= 7; step++) {
        const box = document.createElement('div');
        const stream = new MarkdownStream(box);
        for (let at = step; at < text.length; at += step) stream.update(text.slice(0, at), false);
        stream.update(text, true);
        expect(box.innerHTML, `by ${step}`).toBe(whole.innerHTML);
      }
      expect(whole.textContent?.replaceAll('\u00a0', ' ')).toBe((document.documentElement.lang = 'en', dom(text).textContent));
    } finally { document.documentElement.lang = ''; }
  });

  it('ends as the one-shot DOM where an answer that had ended goes on', () => {
    for (let seed = 1; seed <= 100; seed++) {
      const next = random(seed);
      const text = answer(next);
      const end = Math.floor(next() * text.length);
      const box = document.createElement('div');
      const stream = new MarkdownStream(box);
      stream.update(text.slice(0, end), true);
      stream.update(text, true);
      expect(box.innerHTML, `seed ${seed}, ended at ${end}: ${JSON.stringify(text)}`).toBe(dom(text).innerHTML);
    }
  });

  it('shows the same for the same words, whatever was shown before: cut anywhere, ended and gone on, said twice', () => {
    for (let seed = 1; seed <= 60; seed++) {
      const next = random(seed + 1000);
      const text = answer(next);
      const box = document.createElement('div');
      const stream = new MarkdownStream(box);
      const told: string[] = [];
      for (let at = 0; at < text.length; ) {
        at = Math.min(text.length, at + Math.floor(next() * (seed % 3 === 0 ? 6 : 40)));
        const done = next() < 0.3;
        told.push(`${at}${done ? ' done' : ''}`);
        stream.update(text.slice(0, at), done);
        const fresh = document.createElement('div');
        new MarkdownStream(fresh).update(text.slice(0, at), done);
        expect(box.innerHTML, `seed ${seed}, at ${told.join(', ')}: ${JSON.stringify(text)}`).toBe(fresh.innerHTML);
      }
    }
  });

  it('takes up an answer that had ended where it ended, with the same words first', () => {
    for (const [text, end] of [['\\[ x\ny\n', 6], ['Wzór:\n\n$$ otwarte\nbez końca\n\ndalej', 16], ['- jeden\n- dwa\n- trzy', 9]] as const) {
      const box = document.createElement('div');
      const stream = new MarkdownStream(box);
      stream.update(text.slice(0, end), true);
      stream.update(text.slice(0, end), false); // it runs again, and has said nothing yet
      stream.update(text, true);
      expect(box.innerHTML, text).toBe(dom(text).innerHTML);
    }
  });

  it('makes no heading of a formula and what stands around it', () => {
    const tags = (text: string) => Array.from(dom(text).children, (element) => element.className || element.tagName);
    expect(tags('tekst\n$$ a\n$$\nb\n---\ndalej')).toEqual(['P', 'maths block', 'H2', 'P']);
    expect(tags('dwa\nwiersze\n===\n\n$$\na\n$$')).toEqual(['H1', 'maths block']);
  });

  it('shows HTML of the model as text and keeps styles, scripts and pictures out', () => {
    const box = dom('<img src=x onerror=alert(1)> <b style="color:red">x</b>\n\n![a](http://h/p.png)\n\n[z](javascript:alert(1))');
    expect(box.querySelector('img, script, b, [style], [onerror]')).toBeNull();
    expect(box.textContent).toContain('<img src=x onerror=alert(1)>');
    expect(box.querySelector('a[href^="javascript"]')).toBeNull();
  });

  it('looks right at unfinished ends', () => {
    const shown = (text: string) => { const box = document.createElement('div'); new MarkdownStream(box).update(text, false); return box; };
    expect(shown('to jest **grube').querySelector('strong')?.textContent).toBe('grube');
    expect(shown('patrz [tutaj](https://exa').textContent?.trim()).toBe('patrz tutaj');
    expect(shown('użyj `kod').querySelector('code')?.textContent).toBe('kod');
    expect(shown('```js\nlet a').querySelector('pre code')?.textContent).toContain('let a');
    expect(shown('| a | b |\n|--|--|\n| 1 | 2 |\n| 3').querySelectorAll('tbody tr')).toHaveLength(1);
    const formula = (text: string) => [shown(text).textContent?.trim(), shown(text).querySelector('code')?.textContent, shown(text).querySelectorAll('.maths').length];
    expect(formula('$$')).toEqual(['', undefined, 0]);
    expect(formula('Czas:\n\n$$\nt = \\frac{B}')).toEqual(['Czas:\nt = \\frac{B}'.replace('\n', ''), 't = \\frac{B}', 0]);
    expect(formula('$$\nt = \\frac{B}{v}\n$')).toEqual(['t = \\frac{B}{v}', 't = \\frac{B}{v}', 0]);
    expect(formula('$$\nt = \\frac{B}{v}\n$$')[2]).toBe(1);
    expect(shown('- To **ważne\n\n  i *bardzo\n$$\nt = ').textContent).not.toContain('$$');
    expect(formula('\\[ x^2')).toEqual(['x^2', 'x^2', 0]);
    expect(formula('\\[ x^2 \\]')[2]).toBe(1);
    expect(shown('a kosztuje $$ i tyle').textContent).toContain('$$ i tyle');
    expect(shown('lista:\n\n- jeden\n-').querySelectorAll('li')).toHaveLength(1);
  });

  it('shows no mark in the middle that is none at the end, and keeps prices', () => {
    for (const text of ['To **ważne** słowo i wzór $x_1 = \\frac{a}{b}$ dalej', '**Wynik $x^2$ jest** taki', '*a* i \\(x*y\\) dalej', '**Czas to $t = \\frac{B}{v}$ sekund**, a *droga $s$* też', 'W **$E = mc^2$** jest', '***oba** naraz*', 'Tu *kursywa $a*b$ dalej* i **gruby \\(c\\) tekst**',
      'Niech __x $a$__ i ~~y $b$~~ oraz **c *d***', '> **cytat $x$ w** nim', '- **a** to\n  $$\n  x * 1\n  $$\n- dwa', 'Mamy **a** i `b*c` z \\(d_1\\)']) {
      const words = (box: Element) => { const copy = box.cloneNode(true) as Element; copy.querySelectorAll('.maths, code').forEach((element) => element.remove()); return copy.textContent; };
      expect(words(dom(text))).not.toMatch(/[*_~$]/);
      const box = document.createElement('div');
      const stream = new MarkdownStream(box);
      for (let at = 1; at < text.length; at++) {
        stream.update(text.slice(0, at), false);
        expect(words(box).replace(/\$$/, ''), text.slice(0, at)).not.toMatch(/[*_~$\\]/); // a dollar that came last may be anything
      }
    }
    const shown = (text: string) => { const box = document.createElement('div'); new MarkdownStream(box).update(text, false); return box.textContent; };
    expect(shown('Kosztuje $5 i **wię')).toBe('Kosztuje $5 i wię');
    expect(shown('It is $1,200.50, and $x_')).toBe('It is $1,200.50, and x_');
    expect(shown('Zmienna $HOME wskazuje na fol')).toBe('Zmienna $HOME wskazuje na fol');
  });

  it('opens no more than a dozen lists or quotations within each other: signs beyond are words, and none is lost', () => {
    for (const text of ['> '.repeat(2000) + 'głęboko', '- '.repeat(2000) + 'głęboko', '1. '.repeat(600) + 'głęboko', Array.from({ length: 200 }, (_, i) => `${'  '.repeat(i)}- punkt ${i}`).join('\n') + '\n\ngłęboko', '> - '.repeat(400) + 'głęboko']) {
      const deep = (at: Element): number => 1 + Math.max(0, ...Array.from(at.children, deep));
      const box = dom(`${text}\n\nkoniec`);
      expect(deep(box), text.slice(0, 12)).toBeLessThan(30);
      expect(box.textContent).toContain('głęboko');
      expect(box.lastElementChild?.textContent).toBe('koniec');
      const stream = new MarkdownStream(document.createElement('div'));
      for (let at = 40; at < 400; at += 40) stream.update(text.slice(0, at), false);
    }
    expect(dom('> a\n> > b\n> > - c\n> >   - d').querySelectorAll('blockquote blockquote ul ul li')).toHaveLength(1);
  });

  it('costs the tail, not the text', () => {
    const text = Array.from({ length: 200 }, (_, i) => `Akapit ${String(i).padStart(3, '0')} z **grubym** słowem.\n\n`).join('');
    const box = document.createElement('div');
    const stream = new MarkdownStream(box);
    const made = vi.spyOn(document, 'createElement');
    const watch = new MutationObserver(() => undefined);
    watch.observe(box, { subtree: true, childList: true, characterData: true, attributes: true });
    const half = (from: number, to: number) => {
      work.lexed = 0;
      made.mockClear();
      for (let at = from; at < to; at += 120) stream.update(text.slice(0, at), false);
      return { lexed: work.lexed, made: made.mock.calls.length, changed: watch.takeRecords().length };
    };
    const first = half(0, text.length / 2);
    const second = half(text.length / 2, text.length);
    made.mockRestore();
    watch.disconnect();
    stream.update(text, true);
    expect(box.children.length).toBe(200);
    // Work is counted, not timed: characters given to the lexer, elements made, changes of the document. Were every update begun at the beginning, the second half would cost three times the first.
    expect(first.lexed).toBeGreaterThan(text.length / 2);
    expect(first.made).toBeGreaterThan(200);
    expect(first.changed).toBeGreaterThan(100);
    for (const kind of ['lexed', 'made', 'changed'] as const) expect(second[kind], kind).toBeLessThan(first[kind] * 1.05);
  });
});
