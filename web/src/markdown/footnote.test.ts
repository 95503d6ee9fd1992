// Footnotes: a raised sign in the line, the note's words where they stand; no word of one is lost, at no prefix of the stream.
import { expect, it } from 'vitest';

import { MarkdownStream } from './stream';

const dom = (text: string, done = true) => { const box = document.createElement('div'); new MarkdownStream(box).update(text, done); return box; };

it('shows references raised and notes with all their words', () => {
  const box = dom('Watra[^1] grzeje[^nota].\n\n[^1]: Ogień **pasterski**, nie gaśnie.\n[^nota]: jedno\n');
  expect([...box.querySelectorAll('.note-ref')].map((one) => one.textContent)).toEqual(['1', 'nota']);
  expect([...box.querySelectorAll('.footnote')].map((one) => one.textContent)).toEqual(['1Ogień pasterski, nie gaśnie.', 'notajedno']);
  expect(box.querySelector('.footnote strong')?.textContent).toBe('pasterski');
  expect(box.textContent).not.toContain('[^');
});

it('takes what is indented under a note into it, and nothing else', () => {
  expect([...dom('a[^1]\n[^1]: raz\n  dwa\n\n    trzy\n\ncztery').children].map((one) => [one.className, one.textContent])).toEqual([['', 'a1'], ['footnote', '1raz\ndwatrzy'], ['', 'cztery']]);
  expect(dom('Wzór [^a-z] i `x[^1]`, a [^2](https://example.org) to odsyłacz.').querySelectorAll('sup')).toHaveLength(0);
  expect(dom('[s]: https://example.org\n\n[słowo][s]').textContent).toBe('słowo'); // a link's definition stays one
});

it('ends as the one-shot DOM wherever it is cut, loses no word on the way, and replaces no frozen node', () => {
  for (const text of ['Watra[^1] grzeje[^2] długo.\n\n[^1]: Ogień pasterski.\n[^2]: jedno\n\nDalej.', 'a[^x]\n[^x]: raz\n  dwa\n\n    trzy\n\n- lista[^1]\n- druga\n\n[^1]: `kod`\n', '> cytat[^1]\n>\n> [^1]: nota w cytacie\n\nkoniec[^1]\n[^3]: bez pustej linii\n# Nagłówek']) {
    for (let step = 1; step < 6; step++) {
      const box = document.createElement('div');
      const settled: Element[] = [];
      const stream = new MarkdownStream(box, (element) => settled.push(element));
      for (let at = step; at < text.length; at += step) {
        stream.update(text.slice(0, at), false);
        expect(settled.every((one) => box.contains(one))).toBe(true);
        const words = text.slice(0, at).match(/\p{L}{3,}(?=[^\p{L}])/gu) ?? [];
        for (const word of words) expect(box.textContent, JSON.stringify(text.slice(0, at))).toContain(word);
        expect(box.textContent, JSON.stringify(text.slice(0, at))).not.toMatch(/\[\^/);
      }
      stream.update(text, true);
      expect(box.innerHTML).toBe(dom(text).innerHTML);
    }
  }
});
