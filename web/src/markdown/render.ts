// Tokens become elements here and nowhere else. What the model wrote reaches the document only as text and through these few attributes:
// there is no HTML to clean, because none is made. Links lead to the web or to a letter and open elsewhere; pictures stay words.
import type { Token, Tokens } from 'marked';

import { held } from '../words/bind';
import type { FootnoteToken, MathsToken } from './grammar';

type Inside = (Node | string)[];

function make(tag: string, inside: Inside = [], attributes: Record<string, string> = {}): HTMLElement {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...inside);
  return element;
}

const reader = document.createElement('textarea'); // holds text only: whatever is put in, entities are all that is read

/** Text as it was meant: `&amp;` is an ampersand. */
function meant(text: string): string {
  if (!text.includes('&')) return text;
  reader.innerHTML = text.replace(/</g, '&lt;');
  return reader.value;
}

function link({ href, title, tokens, autolink, text }: Tokens.Link & { autolink?: boolean }): Node[] {
  const words = autolink ? [document.createTextNode(text)] : inline(tokens);
  const address = meant(href).trim();
  if (!/^(?:https?|mailto):/i.test(address)) return words;
  return [make('a', words, { href: address, ...(title ? { title: meant(title) } : {}), target: '_blank', rel: 'noopener noreferrer' })];
}

const checkbox = (checked: boolean): HTMLElement => make('input', [], { type: 'checkbox', disabled: '', ...(checked ? { checked: '' } : {}) });

function inlineToken(token: Token): Node[] {
  switch (token.type) {
    case 'strong': case 'em': case 'del': return [make(token.type, inline(token.tokens ?? []))];
    case 'codespan': return [make('code', [token.text as string])];
    case 'br': return [make('br')];
    case 'link': return link(token as Tokens.Link);
    case 'image': return [make('span', [meant((token.text as string) || (token.href as string))], { class: 'picture' })];
    case 'checkbox': return [checkbox((token as Tokens.Checkbox).checked), document.createTextNode(' ')];
    case 'maths': return [make('span', [token.raw], { class: 'maths', 'data-tex': (token as unknown as MathsToken).tex })];
    case 'footnoteRef': return [make('sup', [(token as unknown as FootnoteToken).label], { class: 'note-ref' })];
    case 'escape': case 'html': return [document.createTextNode(token.text as string)];
    default: return 'tokens' in token && token.tokens ? inline(token.tokens) : [document.createTextNode(held(meant((token as Tokens.Text).text)))];
  }
}

/** Neighbouring texts become one node, as a parser would have made them. */
function inline(tokens: Token[]): Node[] {
  const nodes: Node[] = [];
  for (const node of tokens.flatMap(inlineToken)) {
    const last = nodes.at(-1);
    if (node instanceof Text && last instanceof Text) last.appendData(node.data);
    else nodes.push(node);
  }
  return nodes;
}

function table({ header, rows }: Tokens.Table): HTMLElement {
  const row = (cells: Tokens.TableCell[], tag: string) => make('tr', cells.map((cell) => make(tag, inline(cell.tokens), cell.align ? { class: cell.align } : {})));
  return make('div', [make('table', [make('thead', [row(header, 'th')]), make('tbody', rows.map((cells) => row(cells, 'td')))])], { class: 'table', tabindex: '0' });
}

function list({ ordered, start, items }: Tokens.List): HTMLElement {
  return make(ordered ? 'ol' : 'ul', items.map((item) => make('li', blocks(item.tokens))), ordered && start !== 1 && start !== '' ? { start: String(start) } : {});
}

function block(token: Token): Node[] {
  switch (token.type) {
    case 'space': case 'def': return [];
    case 'heading': return [make(`h${(token as Tokens.Heading).depth}`, inline(token.tokens ?? []))];
    case 'paragraph': return [make('p', inline(token.tokens ?? []))];
    case 'footnote': return [make('div', [make('sup', [(token as unknown as FootnoteToken).label]), make('div', blocks(token.tokens ?? []))], { class: 'footnote', role: 'note' })];
    case 'hr': return [make('hr')];
    case 'blockquote': return [make('blockquote', blocks(token.tokens ?? []))];
    case 'list': return [list(token as Tokens.List)];
    case 'table': return [table(token as Tokens.Table)];
    case 'code': {
      const language = ((token as Tokens.Code).lang ?? '').match(/^[\w+#.-]+/)?.[0] ?? '';
      return [make('div', [make('pre', [make('code', [token.text as string])], { tabindex: '0' })], { class: 'code', 'data-lang': language })];
    }
    case 'mathsBlock': {
      const maths = token as unknown as MathsToken;
      return [maths.closed ? make('p', [maths.raw], { class: 'maths block', 'data-tex': maths.tex }) : make('p', [maths.raw])];
    }
    default: return inlineToken(token);
  }
}

const blocks = (tokens: Token[]): Node[] => tokens.flatMap(block);

/** The elements of `tokens`; a text that stands alone gets a paragraph. */
export function render(tokens: Token[]): Element[] {
  return blocks(tokens).map((node) => (node instanceof Element ? node : make('p', [node])));
}
