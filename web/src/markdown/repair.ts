// The unfinished end of a stream, closed for the eye only: what the model has opened and not yet closed is closed, what cannot be
// shown yet (half a link, half a delimiter row) waits. The final text never passes through here.
import { INLINE_MATHS } from './grammar';

const FORMULAS = new RegExp(`\\$\\$[\\s\\S]*?\\$\\$|\\\\\\[[\\s\\S]*?\\\\\\]|${INLINE_MATHS.source}`, 'g');
const PRICE = /^\d+(?:[.,]\d+)*[.,]?(?![\w^\\{+*/=])/; // behind a dollar
const PROSE = /\p{L}{3,}\s+\p{L}{3,}/u;
const blank = (hidden: string) => 'x'.repeat(hidden.length);

function openFence(text: string): boolean {
  let open: string | null = null;
  for (const line of text.split('\n')) {
    const fence = /^ {0,3}(`{3,}|~{3,})/.exec(line)?.[1];
    if (!fence) continue;
    if (open === null) open = fence;
    else if (fence[0] === open[0] && fence.length >= open.length && line.trim() === fence) open = null;
  }
  return open !== null;
}

function closeEmphasis(lines: string): string {
  const text = lines.trimEnd();
  const bare = text.replace(/`[^`]*`/g, blank).replace(FORMULAS, blank).replace(/\\./g, 'xx').replace(/^(\s*)[*+-]\s/gm, '$1  ');
  const stack: string[] = [];
  let half = ''; // of what closes, when only its beginning has come
  for (const run of bare.matchAll(/(\*{1,3}|~~?|__?)/g)) {
    const mark = run[0];
    const before = bare[run.index - 1] ?? ' ';
    const after = bare[run.index + mark.length] ?? ' ';
    const top = stack.at(-1) ?? '';
    if (top === mark && !/\s/.test(before)) stack.pop();
    else if (top.length > mark.length && top.startsWith(mark) && !/\s/.test(before) && run.index + mark.length < bare.length) stack.splice(-1, 1, top.slice(mark.length)); // ***both** of them*
    else if (run.index + mark.length === bare.length) half = mark;
    else if (!/\s/.test(after) && mark !== '_' && mark !== '~') stack.push(mark);
  }
  const closing = stack.reverse().join('');
  return text + (closing.startsWith(half) ? closing.slice(half.length) : closing);
}

/** A formula in the last line that is not closed yet: its source in the face of code. A price is none, nor is prose behind a dollar. */
function faceOpenFormula(end: string): string {
  const masked = end.replace(/`[^`]*`/g, blank).replace(FORMULAS, blank);
  const line = masked.lastIndexOf('\n') + 1;
  for (const open of masked.slice(line).matchAll(/(?<!\\)(?:\$(?=[^\s$])|\\\()/g)) {
    const at = line + open.index;
    const tex = end.slice(at + open[0].length).replace(/\\$/, '').replaceAll('`', '');
    if (open[0] === '$' && (PRICE.test(tex) || PROSE.test(tex.replace(/\\[a-z]+/gi, '')))) continue;
    return end.slice(0, at) + (tex.trim() && `\`${tex.trim()}\``);
  }
  return end;
}

/** What the lines of a paragraph have opened and not yet closed. */
function closeInline(lines: string): string {
  let end = lines;
  const ticks = (end.match(/(?<!`)`(?!`)/g) ?? []).length;
  if (ticks % 2 === 1) end = end.endsWith('`') ? end.slice(0, -1) : end + '`';
  // Half a link shows its words, not its address.
  end = end.replace(/!?\[([^\]\n]*)\]\([^)\n]*$/, '$1').replace(/!?\[([^\]\n]*)$/, (whole, words: string) => (words.startsWith('^') ? '' : /^[ x]?$/.test(words) ? whole : words));
  end = faceOpenFormula(end).replace(/(?<!\\)((?:\\\\)*)\\$/, '$1');
  end = end.replace(/(\*{1,3}|~{1,2}|_{1,2})$/, (mark, _m, offset: number) => (/\s|^$/.test(end[offset - 1] ?? '') ? '' : mark));
  return /^\s*\|.*\|\s*$/m.test(end) ? end : closeEmphasis(end);
}

/** A formula on lines of its own that is not closed yet: its source in the face of code, without the marks, below what stands before it. Null where none is open. */
function openMaths(end: string): string | null {
  const dollars = end.split('$$').length - 1;
  const at = dollars % 2 === 1 ? end.lastIndexOf('$$') : end.lastIndexOf('\\[') > end.lastIndexOf('\\]') ? end.lastIndexOf('\\[') : -1;
  if (at < 0 || !/(^|\n) {0,3}$/.test(end.slice(0, at))) return null;
  const tex = end.slice(at + 2).replace(/[$\\]$/, '').replaceAll('`', '').replace(/\s+/g, ' ').trim();
  const before = end.slice(0, at).trimEnd();
  return `${before && `${closeInline(before)}\n`}${tex && `\`${tex}\``}`;
}

/** `tail` is the last block of a text that is still growing. */
export function repair(tail: string): string {
  if (openFence(tail)) return tail;
  let text = tail;
  const lines = text.split('\n');
  const last = lines.at(-1) ?? '';
  // A row of a table, a list marker, a heading sign or an underline that has only begun says nothing yet.
  if (/^\s*([-*+]|\d+[.)]|#{1,6}|>|[-=*_]{1,3}|`{1,3})\s*$/.test(last) && lines.length > 1) { lines.pop(); text = lines.join('\n'); }
  else if (/^\s*\[\^[^\]\s]*\]?$/.test(last)) { lines.pop(); text = lines.join('\n'); } // of a footnote
  else if (/^\s*\|/.test(last) && !/\|\s*$/.test(last) && lines.length > 2) { lines.pop(); text = lines.join('\n'); }
  const at = text.lastIndexOf('\n\n') + 1;
  let head = text.slice(0, at);
  let end = text.slice(at);
  const maths = openMaths(end);
  if (maths !== null) return head + maths;
  end = closeInline(end);
  if (at === 0) head = '';
  return head + end;
}
