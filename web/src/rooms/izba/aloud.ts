// What is read aloud of a message: its words without the marks of Markdown, in pieces of a few sentences, each in its own language. Browsers
// fall silent in the middle of long utterances, and a voice of the wrong language makes words unrecognizable.
import type { Token, Tokens } from 'marked';

import { lex, type FootnoteToken, type MathsToken } from '../../markdown/grammar';
import type { Language } from '../../words/format';

export interface Piece { text: string; language: Language }

const LONGEST = 240; // characters in one utterance; Chromium stops speaking within longer ones
const POLISH = new Set('i w z na się nie to jest że do jak co po od za czy tak dla już ale jej jego był była będzie przy może są ty ja mnie ci mi ten ta te tu tam oraz albo więc gdy gdzie kiedy bardzo'.split(' '));
const ENGLISH = new Set('the of and to is in it you that for are this with on was have be as at not or an by from they which can will my your what there if when its has i'.split(' '));

/** The language these words are in; without a sign of either, `otherwise`. */
export function languageOf(text: string, otherwise: Language): Language {
  let polish = 0;
  let english = 0;
  for (const word of text.toLowerCase().match(/[\p{L}']+/gu) ?? []) {
    if (POLISH.has(word) || /[ąćęłńśźż]/.test(word)) polish++;
    if (ENGLISH.has(word)) english++;
  }
  return polish === english ? otherwise : polish > english ? 'pl' : 'en';
}

/** Of a line: links keep their text, addresses are a pause, names_of_code are words. */
const inLine = (tokens: Token[]): string => tokens.map((token) => {
  switch (token.type) {
    case 'maths': return (token as unknown as MathsToken).tex;
    case 'footnoteRef': case 'checkbox': return '';
    case 'br': return '\n';
    case 'escape': case 'image': return (token as { text: string }).text;
  }
  const inner = (token as { tokens?: Token[] }).tokens;
  if (inner && inner.length > 0) return inLine(inner);
  return ((token as { text?: string }).text ?? token.raw).replace(/(?:https?:\/\/|www\.)\S+/g, ' … ').replace(/(?<=[\p{L}\p{N}])_+(?=[\p{L}\p{N}])/gu, ' ');
}).join('');

/** Of blocks: code and tables are left out, wherever they stand; a formula on lines of its own is a pause, one that was cut off too. */
const inBlocks = (tokens: Token[]): string => tokens.map((token) => {
  switch (token.type) {
    case 'code': case 'table': case 'hr': case 'def': case 'space': return '\n\n';
    case 'mathsBlock': return ' … \n\n';
    case 'blockquote': return `${inBlocks((token as Tokens.Blockquote).tokens)}\n\n`;
    case 'footnote': return `${(token as unknown as FootnoteToken).label}. ${inBlocks((token as unknown as FootnoteToken).tokens ?? [])}\n\n`;
    case 'list': { const list = token as Tokens.List; return `\n${list.items.map((item, i) => `${list.ordered ? `${Number(list.start) + i}. ` : ''}${inBlocks(item.tokens)}\n`).join('')}\n`; }
  }
  return `${inLine((token as { tokens?: Token[] }).tokens ?? [token])}\n${token.type === 'text' ? '' : '\n'}`;
}).join('');

/** The words alone, as the page reads its Markdown: no marks, no code. */
export const plainWords = (markdown: string): string => inBlocks(lex(markdown, {})).replace(/[ \t]+/g, ' ').replace(/\n{3,}/g, '\n\n').trim();

/** What is said one after another. */
export function pieces(markdown: string, otherwise: Language): Piece[] {
  const all: Piece[] = [];
  const text = plainWords(markdown);
  const whole = languageOf(text, otherwise);
  for (const paragraph of text.split(/\n+/)) {
    const language = languageOf(paragraph, whole);
    let piece = '';
    const end = () => { if (/[\p{L}\p{N}]/u.test(piece)) all.push({ text: piece.trim(), language }); piece = ''; };
    for (const sentence of paragraph.match(/.+?(?:[.!?…:;]+["”’)]*(?=\s|$)|$)/gu) ?? []) {
      if (piece.length + sentence.length > LONGEST) end();
      if (sentence.length <= LONGEST) { piece += sentence; continue; }
      for (const word of sentence.split(/(?<=\s)/)) {
        if (piece.length + word.length > LONGEST) end();
        piece += word;
      }
    }
    end();
  }
  return all;
}

/** The language most of it is in. */
export const mostOf = (all: Piece[]): Language => {
  const polish = all.reduce((n, piece) => n + (piece.language === 'pl' ? piece.text.length : -piece.text.length), 0);
  return polish >= 0 ? 'pl' : 'en';
};
