// The Markdown the page reads: GFM as marked's lexer cuts it, without raw HTML (what the model writes between angle brackets is text), with
// maths. render.ts makes elements of the tokens.
// Maths is inline ($x$, \(x\)) or a block that opens a line ($$, \[) and holds no blank line.
import { Marked, Tokenizer, type Token, type TokenizerAndRendererExtension, type Tokens } from 'marked';

export interface MathsToken { type: 'maths' | 'mathsBlock'; raw: string; tex: string; closed: boolean }

const mathsBlock: TokenizerAndRendererExtension = {
  name: 'mathsBlock',
  level: 'block',
  start: (src) => src.match(/(^|\n) {0,3}(\$\$|\\\[)/)?.index,
  tokenizer(src): Tokens.Generic | undefined {
    const open = /^ {0,3}(\$\$|\\\[)/.exec(src);
    if (!open) return undefined;
    const close = open[1] === '$$' ? '$$' : '\\]';
    const blank = src.search(/\n[ \t]*\n/);
    const reach = blank < 0 ? src.length : blank;
    const end = src.indexOf(close, open[0].length);
    const line = end < 0 || end >= reach ? -1 : src.indexOf('\n', end);
    const rest = end < 0 ? '' : src.slice(end + close.length, line < 0 ? src.length : line);
    const closed = end >= 0 && end < reach && rest.trim() === '';
    const raw = closed ? src.slice(0, line < 0 ? src.length : line + 1) : src.slice(0, reach);
    return { type: 'mathsBlock', raw, tex: closed ? src.slice(open[0].length, end).trim() : '', closed };
  },
};

/** A formula in a line. "5$ or $6" is none: what opens touches its first sign, what closes its last and no digit. */
export const INLINE_MATHS = /\$(?![\s$])((?:\\.|[^$\\\n])*?)(?<!\s)\$(?!\d)|\\\(([^\n]+?)\\\)/;
const FORMULAS = new RegExp(INLINE_MATHS.source, 'g');
const atOnce = new RegExp(`^(?:${INLINE_MATHS.source})`);

const maths: TokenizerAndRendererExtension = {
  name: 'maths',
  level: 'inline',
  start: (src) => src.match(/\$|\\\(/)?.index,
  tokenizer(src): Tokens.Generic | undefined {
    const found = atOnce.exec(src);
    return found ? { type: 'maths', raw: found[0], tex: found[1] ?? found[2] ?? '', closed: true } : undefined;
  },
};

export interface FootnoteToken { type: 'footnote' | 'footnoteRef'; raw: string; label: string; tokens?: Token[] }

// `[^1]: words`, then the lines that are indented under it. Without this a definition of one word would be a link's, and unseen.
const FOOTNOTE = /^ {0,3}\[\^([^\]\s^]{1,60})\]:[ \t]*([^\n]*(?:\n[ \t]{2,}\S[^\n]*|\n(?:[ \t]*\n)+(?: {4}|\t)[ \t]*\S[^\n]*)*)(?:\n|$)/;
const footnote: TokenizerAndRendererExtension = {
  name: 'footnote',
  level: 'block',
  start: (src) => src.match(/(^|\n) {0,3}\[\^[^\]\s^]{1,60}\]:/)?.index,
  tokenizer(src): Tokens.Generic | undefined {
    const found = FOOTNOTE.exec(src);
    if (!found) return undefined;
    return { type: 'footnote', raw: found[0], label: found[1], tokens: this.lexer.blockTokens((found[2] ?? '').replace(/\n(?: {1,4}|\t)/g, '\n'), []) };
  },
};
/** Where it is spoken of: behind a word, or a number anywhere. `[^a-z]` on its own is no note. */
const footnoteRef: TokenizerAndRendererExtension = {
  name: 'footnoteRef',
  level: 'inline',
  start: (src) => src.match(/\[\^/)?.index,
  tokenizer(src, tokens): Tokens.Generic | undefined {
    const found = /^\[\^([^\]\s^]{1,60})\](?![(:])/.exec(src);
    const label = found?.[1] ?? '';
    if (!found || !(/^\d+$/.test(label) || /[^\s([{]$/.test(tokens.at(-1)?.raw ?? ''))) return undefined;
    return { type: 'footnoteRef', raw: found[0], label };
  },
};

/** Lists and quotations within each other: a model that repeats itself opens hundreds, which no window is wide enough for, and layout goes down into each. Signs beyond are words. */
const DEEPEST = 12;

let depth = 0;
function within<T>(cut: () => T): T | undefined {
  if (depth >= DEEPEST) return undefined;
  depth++;
  try { return cut(); } finally { depth--; }
}

const marked = new Marked({ gfm: true, async: false });
marked.use({
  extensions: [mathsBlock, footnote, maths, footnoteRef],
  tokenizer: {
    blockquote(src) { return within(() => Tokenizer.prototype.blockquote.call(this, src)); },
    list(src) { return within(() => Tokenizer.prototype.list.call(this, src)); },
    html: () => undefined,
    tag: () => undefined,
    // A formula on lines of its own ends a paragraph: an underline below it makes no heading of both.
    lheading: (src) => {
      const blank = src.search(/\n[ \t]*\n/);
      const lines = blank < 0 ? src : src.slice(0, blank + 1);
      const formula = lines.search(/\n {0,3}(?:\$\$|\\\[)/);
      return formula >= 0 && formula < lines.search(/\n {0,3}(?:=+|-+) *(?:\n|$)/) ? undefined : false;
    },
  },
  hooks: { emStrongMask: (src) => src.replace(FORMULAS, (formula) => 'x'.repeat(formula.length)) }, // a star within a formula ends no emphasis around it
});

export type Links = Record<string, { href: string; title: string }>;

/** The blocks at the beginning of `source`, lexed with the link definitions of the blocks before. */
export function lex(source: string, links: Links): Token[] {
  const lexer = new marked.Lexer(marked.defaults);
  Object.assign(lexer.tokens.links, links);
  const tokens = lexer.lex(source);
  return tokens;
}
