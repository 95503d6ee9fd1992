// What is read aloud of a message: its words without the marks of Markdown, in pieces of a few sentences, each in its own language. Browsers
// fall silent in the middle of long utterances, and a voice of the wrong language makes words unrecognizable.
import { INLINE_MATHS } from '../../markdown/grammar';
import type { Language } from '../../words/format';

export interface Piece { text: string; language: Language }

const FORMULAS = new RegExp(INLINE_MATHS.source, 'g');
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

/** The words alone: code and tables are left out, links keep their text, formulas on lines of their own are a pause (one that was cut off too), and a price keeps its dollar. */
export function plainWords(markdown: string): string {
  return markdown
    .replace(/^(`{3,}|~{3,})[^\n]*\n[\s\S]*?(^\1[^\n]*$|$(?![\s\S]))/gm, '\n\n')
    .replace(/\$\$[\s\S]*?\$\$|\\\[[\s\S]*?\\\]/g, ' … ')
    .replace(/^ {0,3}(?:\$\$|\\\[)[\s\S]*?(?=\n[ \t]*\n|$(?![\s\S]))/gm, ' … ')
    .replace(FORMULAS, (_whole, dollars?: string, brackets?: string) => dollars ?? brackets ?? '')
    .replace(/^\s*\|.*$/gm, '')
    .replace(/\[\^(?:\d+|(?<=\S\[\^)[^\]\s]+)\](?!:)/g, '')
    .replace(/^ {0,3}\[\^([^\]\s]+)\]:/gm, '$1.')
    .replace(/!?\[([^\]]*)\]\([^)]*\)/g, '$1')
    .replace(/https?:\/\/\S+/g, ' … ')
    .replace(/^\s*(?:[-*_]\s*){3,}$/gm, '')
    .replace(/^\s{0,3}(?:#{1,6}|>|[-*+])\s+/gm, '')
    .replace(/(?<=[\p{L}\p{N}])_+(?=[\p{L}\p{N}])/gu, ' ')
    .replace(/(?<!\\)[*_`~]+/g, '')
    .replace(/\\([^\p{L}\p{N}\s])/gu, '$1')
    .replace(/[ \t]+/g, ' ')
    .replace(/\n{3,}/g, '\n\n')
    .trim();
}

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
