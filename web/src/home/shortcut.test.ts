import { expect, test, vi } from 'vitest';

vi.stubGlobal('matchMedia', () => ({ matches: false })); // a finger alone
const { inOneWord, isMac, keysOf, shortcut, withKeys } = await import('./shortcut');

test('keys are written as the keyboard has them', () => {
  expect(inOneWord('Ctrl K', false)).toBe('Ctrl+K');
  expect(inOneWord('Ctrl K', true)).toBe('⌘K');
  expect(inOneWord('Ctrl Shift O', true)).toBe('⇧⌘O');
  expect(keysOf('Ctrl Shift O', false)).toEqual(['Ctrl', 'Shift', 'O']);
  expect(keysOf('Shift Enter', true)).toEqual(['⇧', 'Enter']);
  expect(keysOf('?', true)).toEqual(['?']);
});

test('a Mac is told by what the browser says of its machine', () => {
  expect(isMac({ platform: 'MacIntel' })).toBe(true);
  expect(isMac({ platform: '', userAgentData: { platform: 'macOS' } })).toBe(true);
  for (const platform of ['Win32', 'Linux x86_64', 'Linux armv8l', '']) expect(isMac({ platform }), platform).toBe(false);
});

test('without a keyboard no keys are named', () => {
  expect(shortcut('Ctrl K')).toBeUndefined();
  expect(withKeys('Szukaj', 'Ctrl K')).toBe('Szukaj');
});
