// Words of the page in the language of the hour. `t` is reactive: what it was used in is drawn anew when the language changes.
import type { Words } from '../wire/types';
import { en } from './en';
import * as f from './format';
import type { Language, Values } from './format';
import { pl } from './pl';

export type Key = keyof typeof pl;

const catalogs: Record<Language, Record<Key, string>> = { pl, en };
const current = $state<{ language: Language }>({ language: 'pl' });

export const words = {
  get language(): Language { return current.language; },
  set language(value: Language) {
    current.language = value;
    document.documentElement.lang = value;
  },
};

export const t = (key: Key, values: Values = {}): string => f.format(catalogs[current.language][key], values, current.language);
export const inWords = (both: Words | null | undefined): string => (both ? both[current.language] : '');
export const num = (value: number, digits = 1): string => f.number(value, current.language, digits);
export const size = (value: number): string => f.bytes(value, current.language);
export const many = (value: number): string => f.count(value, current.language);
export const when = (ms: number): string => f.date(ms, current.language);
export const hourOf = (ms: number): string => f.date(ms, current.language, true);
export const moment = (ms: number): string => f.moment(ms, current.language);

export function span(seconds: number): string {
  if (seconds < 90) return t('span.seconds', { n: Math.max(1, Math.round(seconds)) });
  if (seconds < 5400) return t('span.minutes', { n: Math.round(seconds / 60) });
  return t('span.hours', { n: Math.round(seconds / 360) / 10 });
}
