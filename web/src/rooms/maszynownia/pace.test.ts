import { expect, test } from 'vitest';

import { MOST, paceOf } from './pace';

test('the wheel stands while nothing is written, turns faster with every doubling, and never blurs', () => {
  expect(paceOf(0)).toBe(0);
  const paces = [0.09, 0.5, 1, 2, 5, 20, 80].map(paceOf);
  expect(paces).toEqual([...paces].sort((a, b) => a - b));
  expect(paces[0]).toBeGreaterThan(5);
  expect(new Set(paces).size).toBe(paces.length);
  expect(paceOf(1e6)).toBe(MOST);
});
