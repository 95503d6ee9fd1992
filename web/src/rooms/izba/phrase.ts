// Words kept ready: which of them are meant while one types, and the blanks in them, such as {{topic}}, that are asked for first.
import type { Phrase } from '../../wire/types';

/** Letters as they are searched for: without marks and capitals. */
export const fold = (text: string): string => text.toLowerCase().normalize('NFKD').replace(/\p{M}/gu, '').replace(/ł/g, 'l');

const BLANK = /\{\{\s*([^{}\n]{1,60}?)\s*\}\}/g;

/** What is to be asked for, each once, in the order of the text. */
export const blanksOf = (text: string): string[] => [...new Set([...text.matchAll(BLANK)].map((blank) => blank[1]!))];

export const filled = (text: string, values: Record<string, string>): string => text.replace(BLANK, (_blank, name: string) => values[name] ?? '');

/** A text in pieces, to be shown: its words, and the names of its blanks. */
export function piecesOf(text: string): { text: string; blank: boolean }[] {
  return text.split(BLANK).map((piece, i) => ({ text: piece, blank: i % 2 === 1 })).filter((piece) => piece.text !== '');
}

/** What is looked for in a draft that begins with a stroke; null: it is a message like any other. */
export const asked = (draft: string): string | null => (/^\/[^\n]{0,80}$/.test(draft) ? draft.slice(1) : null);

/** Those whose name begins with what is typed, then those of which a word does, then those that hold it. */
export function found(phrases: readonly Phrase[], typed: string): Phrase[] {
  const wanted = fold(typed.trim());
  const rank = (phrase: Phrase): number => {
    const name = fold(phrase.name);
    const at = name.indexOf(wanted);
    return at < 0 ? -1 : at === 0 ? 0 : name.includes(` ${wanted}`) ? 1 : 2;
  };
  return phrases.map((phrase) => ({ phrase, rank: rank(phrase) })).filter((one) => one.rank >= 0).sort((a, b) => a.rank - b.rank || a.phrase.name.localeCompare(b.phrase.name)).map((one) => one.phrase);
}

/** A name to begin with, for words that have none. */
export const nameOf = (text: string): string => {
  const line = text.trim().split('\n')[0]!.replace(/\s+/g, ' ');
  return line.length <= 40 ? line : `${line.slice(0, 40).replace(/\s+\S*$/, '')}…`;
};
