// The Markdown the page reads: GFM by marked, without raw HTML (what the model writes between angle brackets is text), with maths.
// Maths is inline ($x$, \(x\)) or a block that opens a line ($$, \[) and holds no blank line.
import { Marked, type Token, type TokenizerAndRendererExtension, type Tokens } from 'marked';

export interface MathsToken { type: 'maths' | 'mathsBlock'; raw: string; tex: string; closed: boolean }

const escape = (text: string) => text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;').replace(/"/g, '&quot;');
const span = (token: MathsToken) => `<span class="maths" data-tex="${escape(token.tex)}">${escape(token.raw)}</span>`;

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
  renderer: (token) => {
    const maths = token as unknown as MathsToken;
    return maths.closed ? `<p class="maths block" data-tex="${escape(maths.tex)}">${escape(maths.raw)}</p>` : `<p>${escape(maths.raw)}</p>`;
  },
};

const maths: TokenizerAndRendererExtension = {
  name: 'maths',
  level: 'inline',
  start: (src) => src.match(/\$|\\\(/)?.index,
  tokenizer(src): Tokens.Generic | undefined {
    const found = /^\$(?![\s$])((?:\\.|[^$\\\n])*?)(?<!\s)\$(?!\d)/.exec(src) ?? /^\\\(([^\n]+?)\\\)/.exec(src);
    return found ? { type: 'maths', raw: found[0], tex: found[1] ?? '', closed: true } : undefined;
  },
  renderer: (token) => span(token as unknown as MathsToken),
};

const marked = new Marked({ gfm: true, async: false });
marked.use({
  extensions: [mathsBlock, maths],
  tokenizer: {
    html: () => undefined,
    tag: () => undefined,
  },
  renderer: {
    code({ text, lang }) {
      const name = (lang ?? '').match(/^[\w+#.-]+/)?.[0] ?? '';
      return `<div class="code" data-lang="${escape(name)}"><pre tabindex="0"><code>${escape(text)}</code></pre></div>`;
    },
    image({ text, href }) { return `<span class="picture">${escape(text || href)}</span>`; },
    table(token) {
      const cell = (c: Tokens.TableCell, tag: string) => `<${tag}${c.align ? ` class="${c.align}"` : ''}>${this.parser.parseInline(c.tokens)}</${tag}>`;
      const row = (cells: Tokens.TableCell[], tag: string) => `<tr>${cells.map((c) => cell(c, tag)).join('')}</tr>`;
      return `<div class="table" tabindex="0"><table><thead>${row(token.header, 'th')}</thead><tbody>${token.rows.map((r) => row(r, 'td')).join('')}</tbody></table></div>`;
    },
    html({ text }) { return escape(text); },
  },
});

export type Links = Record<string, { href: string; title: string }>;

/** The blocks at the beginning of `source`, lexed with the link definitions of the blocks before. */
export function lex(source: string, links: Links): Token[] {
  const lexer = new marked.Lexer(marked.defaults);
  Object.assign(lexer.tokens.links, links);
  const tokens = lexer.lex(source);
  return tokens;
}

export function html(tokens: Token[]): string {
  return new marked.Parser(marked.defaults).parse(tokens);
}
