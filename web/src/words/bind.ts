// What a line must not part, in one place: a number and what it counts (24 GB, 5 modeli, 27 listopada), a Polish word of one letter and the one
// after it (w izbie, i tak), a dash and the word before it. Every text of the page comes through here, in the page only: what is sent to a model
// or becomes a name is said with plain spaces (`plain`).
import type { Language } from './format';

const HELD = '\u00a0';
const COUNTED = /(\d) (?=[\p{L}°])/gu;
const DASH = / (?=[–—] )/gu;
const LONE = /(?<=^|[\s(„])([aiouwz]) (?=\S)/giu;

export function bind(text: string, language: Language): string {
  const held = text.replace(COUNTED, `$1${HELD}`).replace(DASH, HELD);
  return language === 'pl' ? held.replace(LONE, `$1${HELD}`) : held;
}

export const plain = (text: string): string => text.replaceAll(HELD, ' ');
