// The palettes' promises, computed from the token file itself.
import { readFileSync } from 'node:fs';

import { describe, expect, it } from 'vitest';

import { contrast, failures, isIllegible } from './contrast';
import { THEMES } from './apply';

const css = readFileSync('src/look/tokens.css', 'utf8');
function tokens(theme: string): Record<string, string> {
  const block = new RegExp(`data-theme='${theme}'\\] \\{([^}]*)\\}`).exec(css)?.[1] ?? '';
  return Object.fromEntries([...block.matchAll(/--([\w-]+): (#[0-9A-F]{6})/gi)].map((m) => [m[1] ?? '', m[2] ?? '']));
}

describe('palettes', () => {
  it.each(THEMES)('%s keeps its contrast', (theme) => {
    const palette = tokens(theme);
    expect(Object.keys(palette).length).toBeGreaterThan(12);
    expect(failures(palette)).toEqual([]);
  });
  it('computes as WCAG does', () => {
    expect(contrast('#000000', '#FFFFFF')).toBeCloseTo(21, 5);
    expect(contrast('#777777', '#FFFFFF')).toBeCloseTo(4.48, 2);
    expect(failures({ ...tokens('watra'), text: '#555555' }).length).toBeGreaterThan(0);
  });
  it('tells what is hard to read from what cannot be read', () => {
    const watra = tokens('watra');
    expect(isIllegible(watra)).toBe(false);
    expect(failures({ ...watra, text: '#B0A090', line: watra['bg']! })).not.toEqual([]);
    expect(isIllegible({ ...watra, text: '#B0A090', line: watra['bg']! })).toBe(false);
    for (const [token, value] of [['text', watra['surface']!], ['muted', '#3A2A20'], ['raised', watra['text']!], ['ember', watra['on-ember']!]] as const) expect(isIllegible({ ...watra, [token]: value }), token).toBe(true);
  });
});
