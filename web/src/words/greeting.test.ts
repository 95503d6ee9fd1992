import { describe, expect, it } from 'vitest';

import { greeting } from './greeting';

describe('greeting', () => {
  it.each([[0, 'night'], [4, 'night'], [5, 'morning'], [10, 'morning'], [11, 'day'], [17, 'day'], [18, 'evening'], [23, 'evening']])('at %i: %s', (hour, part) => {
    expect(greeting(new Date(2026, 10, 27, hour, 59))).toBe(`hello.${part}`);
  });
});
