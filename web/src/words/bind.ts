// What a line must not part, in one place: a number and what it counts (24 GB, 5 modeli, 27 listopada), a Polish word of one letter and the one
// after it (w izbie, i tak), a short word that begins a sentence and the next, a dash and the word before it. Every text of the page comes through
// here, and on a Polish page the prose of answers, as it is shown: what is sent to a model, copied or becomes a name has plain spaces (`plain`).
import type { Language } from './format';

const HELD = '\u00a0';
// Not in Qwen2.5 Coder, where nothing is counted, and not before a word that only joins: 3 of 5 pages.
const COUNTED = /(?<![\p{L}\d.,])(\d[\d.,\u00a0]*) (?=[\p{L}°])(?!(?:of|and|or|to|in|at|is|z|i|a|w|o|u|na|do|od|po|lub) )/gu;
const DASH = / (?=[–—] )/gu;
const BEGUN = /(?<=[.!?] )(\p{L}{1,2}) (?=\S)/gu;
const LONE = /(?<=^|[\s(„])([aiouwz]) (?=\S)/giu;

export function bind(text: string, language: Language): string {
  const held = text.replace(COUNTED, `$1${HELD}`).replace(DASH, HELD).replace(BEGUN, `$1${HELD}`);
  return language === 'pl' ? held.replace(LONE, `$1${HELD}`) : held;
}

/** What somebody else wrote, on a Polish page: prose only, neither code nor formulas. */
export const held = (text: string): string => (document.documentElement.lang === 'pl' ? bind(text, 'pl') : text);

export const plain = (text: string): string => text.replaceAll(HELD, ' ');
