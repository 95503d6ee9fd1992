import { describe, expect, it } from 'vitest';

import { bind, plain } from './bind';
import { bytes } from './format';
import { pl } from './pl';

const seen = (text: string) => text.replaceAll('\u00a0', '~');

describe('what a line must not part', () => {
  it('keeps a Polish word of one letter with the next, also several in a row', () => {
    expect(seen(bind('Z nią i z tobą w izbie, a u siebie o zmroku i w nocy', 'pl'))).toBe('Z~nią i~z~tobą w~izbie, a~u~siebie o~zmroku i~w~nocy');
    expect(seen(bind('Rozmowa „O czym” (i inne)', 'pl'))).toBe('Rozmowa „O~czym” (i~inne)');
    expect(seen(bind('to słowo i', 'pl'))).toBe('to słowo i');
  });
  it('leaves those of other languages alone', () => { expect(seen(bind('I have a word, a fire', 'en'))).toBe('I have a word, a fire'); });
  it('keeps a number with its unit or with what it counts, in both languages', () => {
    expect(seen(bind('do 30 miliardów, 5 modeli, 0,5 GB, 47 °C', 'pl'))).toBe('do 30~miliardów, 5~modeli, 0,5~GB, 47~°C');
    expect(seen(bind('76.9 tokens a second, 27 November', 'en'))).toBe('76.9~tokens a second, 27~November');
    expect(seen(bytes(24e9, 'pl'))).toBe('24~GB');
    expect(seen(bind('Reading: 3 of 48 tokens', 'en'))).toBe('Reading: 3 of 48~tokens');
    expect(seen(bind('1290 z 8192 tokenów', 'pl'))).toBe('1290 z~8192~tokenów');
    expect(seen(bind('Qwen2.5 Coder 1.5B: 10\u00a0240 tokens, 1,024 words', 'en'))).toBe('Qwen2.5 Coder 1.5B: 10~240~tokens, 1,024~words');
  });
  it('keeps a short word that begins a sentence in mid-line with the next', () => {
    expect(seen(bind('Do kilku modeli. Na ślepo, na końcu! Do widzenia', 'pl'))).toBe('Do kilku modeli. Na~ślepo, na końcu! Do~widzenia');
    expect(seen(bind('One word. It stays', 'en'))).toBe('One word. It~stays');
  });
  it('keeps a dash with the word before it', () => { expect(seen(bind('ogień – i nic więcej', 'pl'))).toBe('ogień~– i~nic więcej'); });
  it('changes spaces only, and gives them back', () => {
    for (const text of Object.values(pl)) expect(plain(bind(text, 'pl'))).toBe(text);
  });
});
