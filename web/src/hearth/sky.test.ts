import { describe, expect, it } from 'vitest';

import { lightAt, lightOf, weatherOf } from './sky';

describe('sky', () => {
  const at = (hour: number, minute = 0) => lightAt(new Date(2026, 10, 26, hour, minute));
  it('follows the hour', () => {
    expect(at(2)).toMatchObject({ from: 'night', to: 'night', stars: 1, sun: null });
    expect(at(12)).toMatchObject({ from: 'day', to: 'day', stars: 0, moon: null });
    expect(at(17, 15)).toMatchObject({ from: 'day', to: 'dusk', mix: 0.5 });
    expect(at(23).moon).toBeGreaterThan(0);
  });
  it('keeps a view that was chosen and follows the hour otherwise', () => {
    const noon = new Date(2026, 6, 1, 12);
    expect(lightOf('stars', noon)).toMatchObject({ stars: 1, sun: null });
    expect(lightOf('snow', noon)).toMatchObject({ weather: 'snow', winter: true });
    expect(lightOf('hour', noon)).toEqual(lightAt(noon));
  });
  it('has one weather a day, and snow in winter only', () => {
    expect(weatherOf(new Date(2026, 5, 1, 8))).toBe(weatherOf(new Date(2026, 5, 1, 20)));
    const summer = Array.from({ length: 90 }, (_, d) => weatherOf(new Date(2026, 5, 1 + d)));
    expect(summer).not.toContain('snow');
    expect(new Set(summer).size).toBeGreaterThan(2);
  });
});
