// WCAG contrast, and what the house asks of a palette: text 7, other colours of words 4.5, borders of controls 3, each on every ground.
export function luminance(hex: string): number {
  const channel = (i: number) => { const c = parseInt(hex.slice(i, i + 2), 16) / 255; return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; };
  return 0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5);
}
export function contrast(a: string, b: string): number {
  const [x, y] = [luminance(a), luminance(b)];
  return (Math.max(x, y) + 0.05) / (Math.min(x, y) + 0.05);
}

export interface Failure { token: string; ground: string; ratio: number; needs: number }

export function failures(tokens: Record<string, string>): Failure[] {
  const needs: [string, number][] = [['text', 7], ['muted', 4.5], ['ember', 4.5], ['gold', 4.5], ['spruce', 4.5], ['slate', 4.5], ['danger', 4.5], ['control', 3]];
  const list = needs.flatMap(([token, least]) => ['bg', 'surface', 'raised'].map((ground) => ({ token, ground, ratio: contrast(tokens[token] ?? '#000000', tokens[ground] ?? '#000000'), needs: least })));
  list.push({ token: 'on-ember', ground: 'ember', ratio: contrast(tokens['on-ember'] ?? '#000000', tokens['ember'] ?? '#000000'), needs: 4.5 });
  return list.filter((one) => one.ratio < one.needs);
}

/** Whether words cannot be read at all: below what even large letters need. */
export const isIllegible = (tokens: Record<string, string>): boolean => failures(tokens).some((one) => ['text', 'muted', 'on-ember'].includes(one.token) && one.ratio < 3);
