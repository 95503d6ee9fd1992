import { describe, expect, it } from 'vitest';

import { follows, stepOf, way } from './swipe';

describe('a finger over an answer', () => {
  it('goes across only where it goes much more across than along', () => {
    expect(way(5, 5)).toBeNull();
    expect(way(-40, 10)).toBe('across');
    expect(way(40, 30)).toBe('along');
    expect(way(0, 20)).toBe('along');
  });
  it('asks for the next version to the left, for the one before to the right, once it has gone far enough', () => {
    expect([stepOf(-80, 600), stepOf(80, 600), stepOf(-60, 600), stepOf(-60, 200)]).toEqual([1, -1, null, 1]);
  });
  it('takes the words with it, and a little where there is no other version', () => {
    expect([follows(-50, true), follows(-50, false), follows(300, false)]).toEqual([-50, -10, 20]);
  });
});
