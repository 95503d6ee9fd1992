import { describe, expect, it } from 'vitest';

import { fullness } from './fullness';

const context = (n_ctx: number, used_tokens: number, reserve_tokens: number) => ({ n_ctx, used_tokens, reserve_tokens, sees_from: null });

describe('fullness', () => {
  it('divides by the room that it tells', () => {
    const one = fullness(context(4096, 234, 1024));
    expect(one).toEqual({ share: 234 / 3072, room: 3072, kept: 1024 });
    expect(one.room + one.kept).toBe(4096);
    expect(fullness(context(4096, 234, 0))).toEqual({ share: 234 / 4096, room: 4096, kept: 0 });
  });
  it('is never more than full, whatever is kept', () => {
    expect(fullness(context(4096, 4096, 1024)).share).toBe(1);
    expect(fullness(context(512, 0, 9000))).toEqual({ share: 0, room: 1, kept: 511 });
  });
});
