// Words of the page in the language of the hour. `t` is reactive: what it was used in is drawn anew when the language changes.
import { clock } from '../look/clock.svelte';
import type { Words } from '../wire/types';
import { bind } from './bind';
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

/** Words as a line holds them. */
export const bound = (text: string): string => bind(text, current.language);

export const t = (key: Key, values: Values = {}): string => bound(say(key, values));
/** The same with plain spaces: for what goes into a message, a field or a name. */
export const say = (key: Key, values: Values = {}): string => f.format(catalogs[current.language][key], values, current.language);
export const inWords = (both: Words | null | undefined): string => (both ? bound(both[current.language]) : '');
export const num = (value: number, digits = 1): string => f.number(value, current.language, digits);
/** A number and its unit, which no line parts: 936 GB/s; a per cent stands close to its number. */
export const amount = (value: number, unit: string, digits = 1): string => `${num(value, digits)}${unit === '%' ? '' : '\u00a0'}${unit}`;
export const size = (value: number): string => f.bytes(value, current.language);
export const many = (value: number): string => f.count(value, current.language);
export const when = (ms: number): string => bound(f.date(ms, current.language, false, clock.now));
export const hourOf = (ms: number): string => bound(f.date(ms, current.language, true, clock.now));
export const moment = (ms: number): string => bound(f.moment(ms, current.language));

export function span(seconds: number): string {
  if (seconds < 90) return t('span.seconds', { n: Math.max(1, Math.round(seconds)) });
  if (seconds < 5400) return t('span.minutes', { n: Math.round(seconds / 60) });
  return t('span.hours', { n: Math.round(seconds / 360) / 10 });
}
