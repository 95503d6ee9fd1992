import { describe, expect, it } from 'vitest';

import { isBlank } from './blank';

describe('isBlank', () => {
  it('takes what cannot be seen for nothing', () => {
    for (const text of ['', ' \n\t', '\u00a0', '\u200b', '\u200c', '\u200d', '\ufeff', '\u2060', '\u200b \u200d\n\u2060\ufeff', '\u00ad', '\u3164', '\u2800', '\ufe0f', '\u202e', '\u{e0001}', '\u0000']) expect(isBlank(text), JSON.stringify(text)).toBe(true);
  });
  it('takes everything that can be seen for something, whatever stands beside it', () => {
    for (const text of ['a', '.', '\u200da', '👨\u200d👩\u200d👧', '❤\ufe0f', '\u0301', 'می\u200cخواهم', '\u0600', '\ufffd', '٠']) expect(isBlank(text), JSON.stringify(text)).toBe(false);
  });
});
