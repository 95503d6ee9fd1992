// The local hour as light: which two skies, how far between them, where sun and moon stand, what the weather is today. Weather is made
// from the date and the season alone; it claims nothing about the world outside.
export type Sky = 'night' | 'dawn' | 'day' | 'dusk';
export type Weather = 'clear' | 'clouds' | 'fog' | 'snow' | 'rain';
export interface Light { from: Sky; to: Sky; mix: number; sun: number | null; moon: number | null; stars: number; weather: Weather; winter: boolean }

const SKIES: [number, Sky][] = [[0, 'night'], [4.5, 'night'], [6.5, 'dawn'], [8.5, 'day'], [16, 'day'], [18.5, 'dusk'], [20.5, 'night'], [24, 'night']];

/** Snow lies on the meadow from November to April. */
export const isWinter = (day: Date): boolean => day.getMonth() >= 10 || day.getMonth() <= 3;

export function weatherOf(day: Date): Weather {
  let hash = day.getFullYear() * 372 + day.getMonth() * 31 + day.getDate();
  hash = Math.imul(hash ^ (hash >>> 7), 0x9e3779b1) >>> 0;
  const cast = (hash >>> 8) % 100;
  if (cast < 40) return 'clear';
  if (cast < 65) return 'clouds';
  if (cast < 80) return 'fog';
  return isWinter(day) ? 'snow' : 'rain';
}

/** Views that somebody chose to keep, whatever the clock says. */
const KEPT: Record<string, Light> = {
  stars: { from: 'night', to: 'night', mix: 0, sun: null, moon: 0.3, stars: 1, weather: 'clear', winter: true },
  snow: { from: 'dusk', to: 'night', mix: 0.62, sun: null, moon: null, stars: 0.45, weather: 'snow', winter: true },
  sunrise: { from: 'dawn', to: 'day', mix: 0.2, sun: 0.07, moon: null, stars: 0, weather: 'clear', winter: false },
  summer: { from: 'day', to: 'day', mix: 0, sun: 0.62, moon: null, stars: 0, weather: 'clouds', winter: false },
  mist: { from: 'dawn', to: 'day', mix: 0.75, sun: null, moon: null, stars: 0, weather: 'fog', winter: false },
};
/** The light of a view: one that is kept, or that of the hour. */
export const lightOf = (view: string, now: Date): Light => KEPT[view] ?? lightAt(now);

export function lightAt(now: Date): Light {
  const hour = now.getHours() + now.getMinutes() / 60;
  const at = Math.max(0, SKIES.findIndex(([h], i) => hour >= h && hour < (SKIES[i + 1]?.[0] ?? 25)));
  const [h0, from] = SKIES[at] ?? [0, 'night'];
  const [h1, to] = SKIES[at + 1] ?? [24, 'night'];
  const arc = (start: number, end: number) => { const h = hour < start ? hour + 24 : hour; return h >= start && h <= end ? (h - start) / (end - start) : null; };
  const stars = from === 'night' && to === 'night' ? 1 : from === 'night' ? 1 - (hour - h0) / (h1 - h0) : to === 'night' ? (hour - h0) / (h1 - h0) : 0;
  return { from, to, mix: (hour - h0) / (h1 - h0), sun: arc(6, 19), moon: arc(19.5, 29.5), stars, weather: weatherOf(now), winter: isWinter(now) };
}
