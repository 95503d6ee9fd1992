import { describe, expect, it } from 'vitest';

import { en } from './en';
import { bytes, date, figure, format, middle, readNumber } from './format';
import { pl } from './pl';

describe('words', () => {
  it('has the Polish plural right', () => {
    const message = '{n, plural, one {# odpowiedź} few {# odpowiedzi} many {# odpowiedzi} other {# odpowiedzi}}';
    const models = '{n, plural, one {# model} few {# modele} many {# modeli} other {# modelu}}';
    expect([1, 2, 5, 12, 22, 1.5].map((n) => format(models, { n }, 'pl'))).toEqual(['1 model', '2 modele', '5 modeli', '12 modeli', '22 modele', '1,5 modelu']);
    expect(format(message, { n: 1 }, 'pl')).toBe('1 odpowiedź');
    expect(format('{n, plural, one {# answer} other {# answers}}', { n: 2 }, 'en')).toBe('2 answers');
  });
  it('says the same things in both languages, with the same holes', () => {
    expect(Object.keys(en).sort()).toEqual(Object.keys(pl).sort());
    const holes = (text: string) => [...new Set([...text.matchAll(/\{(\w+)(?=[,}])/g)].map((m) => m[1]))].filter((h) => !['one', 'few', 'many', 'other'].includes(h ?? '')).sort().join();
    for (const key of Object.keys(pl) as (keyof typeof pl)[]) {
      const plain = (text: string) => holes(text.replace(/(one|few|many|other) \{[^{}]*\}/g, ''));
      expect(plain(en[key]), key).toBe(plain(pl[key]));
      if (/, plural,/.test(pl[key])) expect(pl[key], key).toMatch(/one \{.*few \{.*many \{.*other \{/s);
    }
  });
  it('genders nobody and quotes as Polish does', () => {
    for (const [key, text] of Object.entries(pl)) {
      expect(text, key).not.toMatch(/\b(zrobiłeś|zrobiłaś|chciałbyś|chciałabyś|pewien|pewna|gotowy\/a)\b|"/);
    }
  });
  it('takes numbers with a comma and with a point, and shows them as the language does', () => {
    expect(['0,8', '0.8', ' 1 024 ', '-1', '\u22121', ',5', '2.', '+3', '1\u00a0000,5'].map(readNumber)).toEqual([0.8, 0.8, 1024, -1, -1, 0.5, 2, 3, 1000.5]);
    for (const none of ['', ' ', 'dwa', '1,2,3', '1.024,5', '1e3', '-', ',', '0x10', 'NaN', 'Infinity']) expect(readNumber(none), none).toBeNull();
    expect([0.8, -1, 40960, 0.05, 1.25].map((n) => figure(n, 'pl'))).toEqual(['0,8', '-1', '40960', '0,05', '1,25']);
    expect([0.8, -1, 40960].map((n) => figure(n, 'en'))).toEqual(['0.8', '-1', '40960']);
    for (const n of [0, 0.1, 0.3, 123456789, 1e-7, -2.5]) for (const language of ['pl', 'en'] as const) expect(readNumber(figure(n, language))).toBe(n);
  });
  it('leaves out the middle of what is too long', () => {
    expect(middle('Bielik 11B v3 · Q4_K_M', 22)).toBe('Bielik 11B v3 · Q4_K_M');
    expect(middle('Qwen2.5-Coder-32B-Instruct-abliterated · Q4_K_M', 20)).toBe('Qwen2.5-Co…· Q4_K_M');
    expect([...middle('ąęć'.repeat(30), 11)]).toHaveLength(11);
  });
  it('writes the hour as the language does', () => {
    const then = new Date(2020, 10, 7, 7, 5).getTime();
    expect(date(then, 'pl', true)).toMatch(/^7 lis 2020,? 07:05$/);
    expect(date(then, 'en', true)).toMatch(/^Nov 7, 2020,? 7:05\sAM$/);
  });
  it('writes sizes with the decimal comma', () => {
    expect(bytes(74.98e9, 'pl')).toBe('75\u00a0GB');
    expect(bytes(6.72e9, 'pl')).toBe('6,7\u00a0GB');
    expect(bytes(98362432, 'en')).toBe('98\u00a0MB');
  });
});
