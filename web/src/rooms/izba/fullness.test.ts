import { describe, expect, it } from 'vitest';

import { words } from '../../words/index.svelte';
import { fullness, fullnessTold } from './fullness';

const context = (n_ctx: number, used_tokens: number, reserve_tokens: number) => ({ n_ctx, used_tokens, reserve_tokens, sees_from: null });

describe('fullness', () => {
  it('divides by the room that it tells', () => {
    const one = fullness(context(4096, 234, 1024));
    expect(one).toEqual({ share: 234 / 3072, room: 3072, kept: 1024, into: 0 });
    expect(one.room + one.kept).toBe(4096);
    expect(fullness(context(4096, 234, 0))).toEqual({ share: 234 / 4096, room: 4096, kept: 0, into: 0 });
  });
  it('is never more than full, whatever is kept', () => {
    expect(fullness(context(4096, 4096, 1024)).share).toBe(1);
    expect(fullness(context(512, 0, 9000))).toEqual({ share: 0, room: 1, kept: 511, into: 0 });
  });
  it('says what an answer took of what was kept for it', () => {
    const told = (used: number, kept: number) => (['pl', 'en'] as const).map((language) => { words.language = language; return fullnessTold(context(4096, used, kept)).replaceAll('\u00a0', ' '); });
    expect(told(234, 1024)).toEqual(['234 z 3072 tokenów; 1024 czeka na odpowiedź', '234 of 3072 tokens; 1024 are kept for the answer']);
    expect(told(3500, 1024)).toEqual(['3072 z 3072 tokenów i 428 z 1024 na odpowiedź', '3072 of 3072 tokens, and 428 of the 1024 kept for the answer']);
    expect(told(4096, 0)).toEqual(['4096 z 4096 tokenów', '4096 of 4096 tokens']);
  });
});
