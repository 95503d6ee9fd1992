// A small part of ICU MessageFormat: {name}, {n, plural, one {…} few {…} many {…} other {…}} with # for the number, nested; numbers and
// sizes as the language writes them. Whole sentences only: nothing is glued together.

export type Language = 'pl' | 'en';
export type Values = Record<string, string | number>;

const rules = { pl: new Intl.PluralRules('pl'), en: new Intl.PluralRules('en') };

/** The index of the brace that closes the one at `at`. */
function closing(text: string, at: number): number {
  let depth = 0;
  for (let i = at; i < text.length; i++) {
    if (text[i] === '{') depth++;
    else if (text[i] === '}' && --depth === 0) return i;
  }
  throw new Error(`unbalanced message: ${text}`);
}

function plural(body: string, n: number, values: Values, language: Language): string {
  const forms = new Map<string, string>();
  for (let i = body.indexOf('{'), from = 0; i >= 0; i = body.indexOf('{', from)) {
    const end = closing(body, i);
    forms.set(body.slice(from, i).trim(), body.slice(i + 1, end));
    from = end + 1;
  }
  const form = forms.get(`=${n}`) ?? forms.get(rules[language].select(n)) ?? forms.get('other') ?? '';
  return format(form, values, language).replaceAll('#', number(n, language));
}

export function format(message: string, values: Values, language: Language): string {
  let out = '';
  for (let from = 0; ; ) {
    const open = message.indexOf('{', from);
    if (open < 0) return out + message.slice(from);
    const end = closing(message, open);
    out += message.slice(from, open);
    const [name = '', kind, ...rest] = message.slice(open + 1, end).split(',');
    const value = values[name.trim()] ?? '';
    if (kind?.trim() === 'plural') out += plural(rest.join(','), Number(value), values, language);
    else out += typeof value === 'number' ? number(value, language) : value;
    from = end + 1;
  }
}

// Making a formatter costs more than using it a thousand times.
const made = new Map<string, Intl.NumberFormat | Intl.DateTimeFormat>();
function formatter<T extends Intl.NumberFormat | Intl.DateTimeFormat>(key: string, make: () => T): T {
  const known = made.get(key) as T | undefined;
  if (known) return known;
  const fresh = make();
  made.set(key, fresh);
  return fresh;
}

export function number(value: number, language: Language, digits = 1): string {
  const places = Math.abs(value) >= 100 ? 0 : digits;
  const grouped = Math.abs(value) >= 10000;
  return formatter(`n${language}${places}${grouped}`, () => new Intl.NumberFormat(language, { maximumFractionDigits: places, useGrouping: grouped ? 'always' : false })).format(value);
}

/** A number in a field where one types: all its places, no groups. */
export function figure(value: number, language: Language): string {
  return formatter(`f${language}`, () => new Intl.NumberFormat(language, { useGrouping: false, maximumFractionDigits: 10 })).format(value).replace('\u2212', '-');
}

/** What somebody typed, with a comma or a point; null where it is no number. */
export function readNumber(typed: string): number | null {
  const plain = typed.replace(/\s/g, '').replace('\u2212', '-').replace(',', '.');
  return /^[-+]?(\d+\.?\d*|\.\d+)$/.test(plain) ? Number(plain) : null;
}

/** A text of at most `most` characters: of a longer one the middle is left out, as names differ at their ends. */
export function middle(text: string, most: number): string {
  const signs = [...text];
  if (signs.length <= most) return text;
  const head = Math.ceil((most - 1) / 2);
  return `${signs.slice(0, head).join('').trimEnd()}…${signs.slice(signs.length - (most - 1 - head)).join('').trimStart()}`;
}

/** Bytes as a person reads them: 74,9 GB. */
export function bytes(value: number, language: Language): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let unit = 0;
  let left = value;
  while (left >= 999.5 && unit < units.length - 1) { left /= 1000; unit++; }
  return `${number(left, language, left < 10 && unit > 2 ? 1 : left < 100 && unit > 2 ? 1 : 0)}\u00a0${units[unit]}`;
}

/** 11,2 mld / 11.2 B */
export function count(value: number, language: Language): string {
  return formatter(`c${language}`, () => new Intl.NumberFormat(language, { notation: 'compact', maximumFractionDigits: 1 })).format(value);
}

/** 07:05, in English 7:05 AM. */
const HOUR: Record<Language, Intl.DateTimeFormatOptions> = { pl: { hour: '2-digit', minute: '2-digit' }, en: { hour: 'numeric', minute: '2-digit' } };

/** The hour of what is of today, else the day; `hour`: the hour of every day; `today`: the day it is. */
export function date(ms: number, language: Language, hour = false, today = new Date()): string {
  const then = new Date(ms);
  const day: Intl.DateTimeFormatOptions = then.getFullYear() === today.getFullYear() ? { day: 'numeric', month: 'long' } : { day: 'numeric', month: 'short', year: 'numeric' };
  const options = then.toDateString() === today.toDateString() ? HOUR[language] : hour ? { ...day, ...HOUR[language] } : day;
  return formatter(`d${language}${JSON.stringify(options)}`, () => new Intl.DateTimeFormat(language, options)).format(then);
}

/** Day, year and hour, whole. */
export function moment(ms: number, language: Language): string {
  return formatter(`m${language}`, () => new Intl.DateTimeFormat(language, { dateStyle: 'long', timeStyle: 'short' })).format(ms);
}
