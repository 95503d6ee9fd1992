// A growing Markdown text as DOM. All blocks but the last are frozen: once in the document they are never touched again. The last one
// is lexed anew at each update, from its own beginning only, so the cost of an update does not grow with the text; its DOM becomes the new
// one by what differs.
//
// A boundary is trusted only on complete lines (a line that is still being written can turn into anything), and link definitions count
// for the blocks after them. Both make the frozen blocks a function of the text alone: cut anywhere, the final DOM is the one-shot DOM
// (stream.test.ts, 300 answers cut at random).
import type { Token } from 'marked';

import { become } from './become';
import { lex, type Links } from './grammar';
import { render } from './render';
import { repair } from './repair';

export class MarkdownStream {
  #text = '';
  #done = false;
  #frozen = 0;
  #links: Links = {};
  #tail: Element[] = [];
  #lexed = ''; // the complete lines that were looked through last

  /** `settle` is called once for each element that has taken its final place: highlighting and maths begin there. */
  constructor(private readonly container: Element, private readonly settle: (element: Element) => void = () => undefined) {}

  /** The whole text so far; `done` when nothing will follow. A text that does not continue the last one starts over; so does one that is not done after all, as its last block was taken for whole. */
  update(text: string, done: boolean): void {
    if (!text.startsWith(this.#text) || (this.#done && !(done && text === this.#text))) this.#reset();
    this.#text = text;
    this.#done = done;
    const rest = text.slice(this.#frozen);
    const whole = done ? rest : rest.slice(0, rest.lastIndexOf('\n') + 1);
    if (done || whole !== this.#lexed) this.#freeze(lex(whole, this.#links), done);
    this.#lexed = whole;
    if (!done) this.#showTail();
  }

  #reset(): void {
    this.container.replaceChildren();
    this.#frozen = 0;
    this.#links = {};
    this.#tail = [];
    this.#lexed = '';
  }

  #freeze(tokens: Token[], done: boolean): void {
    const last = tokens.findLastIndex((token) => token.type !== 'space');
    const until = done ? tokens.length : Math.max(0, last);
    if (until > 0) this.#unmark();
    const defines = tokens.some((token) => token.type === 'def');
    for (const token of tokens.slice(0, until)) {
      this.#frozen += token.raw.length;
      if (token.type === 'def') this.#links[(token as { tag: string }).tag] ??= { href: (token as { href: string }).href, title: (token as { title?: string }).title ?? '' };
      if (token.type === 'space' || token.type === 'def') continue;
      // The lexer lets a definition reach back; lexing the block alone lets it reach forward only.
      const block = defines ? lex(token.raw, this.#links) : [token];
      for (const fresh of render(block)) {
        const placed = this.#place(fresh, this.#tail.shift());
        placed.normalize();
        this.settle(placed);
      }
    }
    if (done) this.#cut(0);
  }

  #showTail(): void {
    const rest = this.#text.slice(this.#frozen);
    const fresh = rest.trim() === '' ? [] : render(lex(repair(rest), this.#links));
    if (fresh.length !== this.#tail.length) this.#unmark();
    fresh.at(-1)?.classList.add('tail');
    this.#cut(fresh.length);
    this.#tail = fresh.map((element, i) => this.#place(element, this.#tail[i]));
  }

  #unmark(): void {
    const last = this.#tail.at(-1);
    last?.classList.remove('tail');
    if (last?.className === '') last.removeAttribute('class');
  }

  #cut(kept: number): void {
    for (const element of this.#tail.splice(kept)) element.remove();
  }

  /** Puts `fresh` where `old`, an element of the tail, stands: by changing only what differs, so that little is laid out and painted anew. */
  #place(fresh: Element, old: Element | undefined): Element {
    if (old && become(old, fresh)) return old;
    if (old) old.replaceWith(fresh);
    else this.container.append(fresh);
    return fresh;
  }
}
