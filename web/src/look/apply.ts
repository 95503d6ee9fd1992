// The look as attributes of <html> and, for a theme of one's own, custom properties set by CSSOM.
export const THEMES = ['watra', 'poranek', 'papier', 'kontrast'] as const;
export type Theme = (typeof THEMES)[number];
export interface CustomTheme { name: string; base: Theme; tokens: Record<string, string> }

export const TOKENS = ['bg', 'surface', 'raised', 'text', 'muted', 'ember', 'on-ember', 'gold', 'spruce', 'slate', 'danger', 'line', 'control', 'glow'] as const;

/** The colours that the page wears now. */
export function wornTokens(): Record<string, string> {
  const style = getComputedStyle(document.documentElement);
  return Object.fromEntries(TOKENS.map((token) => [token, style.getPropertyValue(`--${token}`).trim()]));
}

export const isDay = (hour: number): boolean => hour >= 7 && hour < 19;

export function themeOf(values: Record<string, unknown>, now = new Date()): Theme {
  const custom = values['look.custom_theme'] as CustomTheme | null | undefined;
  if (custom) return custom.base;
  if (values['look.follow_hour'] === true) return ((isDay(now.getHours()) ? values['look.day_theme'] : values['look.night_theme']) as Theme | undefined) ?? 'watra';
  return (values['look.theme'] as Theme | undefined) ?? 'watra';
}

export function applyLook(values: Record<string, unknown>): void {
  const root = document.documentElement;
  root.dataset['theme'] = themeOf(values);
  root.dataset['motion'] = String(values['look.motion'] ?? 'full');
  root.dataset['text'] = String(values['look.text_size'] ?? 'normal');
  root.dataset['face'] = String(values['look.typeface'] ?? 'literata');
  root.dataset['measure'] = String(values['look.measure'] ?? 'normal');
  const tokens = (values['look.custom_theme'] as CustomTheme | null | undefined)?.tokens ?? {};
  for (const token of TOKENS) {
    const value = tokens[token];
    if (value && /^#[0-9a-f]{6}$/i.test(value)) root.style.setProperty(`--${token}`, value);
    else root.style.removeProperty(`--${token}`);
  }
}

// The server writes theme and motion into the page; the rest of the look is kept in this browser, so that it stands before the settings come.
const KEPT = 'watra.look';
export function keepLook(values: Record<string, unknown>): void {
  const look = Object.fromEntries(Object.entries(values).filter(([key]) => key.startsWith('look.')));
  try { localStorage.setItem(KEPT, JSON.stringify(look)); } catch { /* a browser that keeps nothing */ }
}
/** The look as it was here last, where the server says that it wears the same theme. */
export function recallLook(): void {
  try {
    const kept = JSON.parse(localStorage.getItem(KEPT) ?? 'null') as Record<string, unknown> | null;
    if (kept && themeOf(kept) === document.documentElement.dataset['theme']) applyLook(kept);
  } catch { /* nothing was kept, or it is not ours */ }
}

export const calm = (): boolean => document.documentElement.dataset['motion'] === 'less' || matchMedia('(prefers-reduced-motion: reduce)').matches;
