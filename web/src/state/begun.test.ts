// What was begun is there after a reload; what is not ours is not believed; two tabs write over nothing.
import { beforeEach, describe, expect, it } from 'vitest';

import { Begun, keep, keepHere, kept, keptHere } from './begun.svelte';

const names = () => new Begun<{ name: string }>('test', (value) => typeof value['name'] === 'string');

describe('Begun', () => {
  beforeEach(() => localStorage.clear());

  it('is there after a reload, until it is let go', () => {
    const before = names();
    before.write('a', { name: 'Baca' });
    before.write('b', { name: 'Juhas' });
    before.drop('a');
    expect(names().all).toEqual({ b: { name: 'Juhas' } });
  });

  it('believes nothing that has another shape', () => {
    localStorage.setItem('watra.begun.test.a', '{"name":5}');
    localStorage.setItem('watra.begun.test.b', 'broken');
    localStorage.setItem('watra.begun.other.c', '{"name":"x"}');
    expect(names().all).toEqual({});
  });

  it('hears what another tab writes, and keeps what it has of its own', () => {
    const mine = names();
    mine.write('a', { name: 'Baca' });
    window.dispatchEvent(new StorageEvent('storage', { key: 'watra.begun.test.b', newValue: '{"name":"Juhas"}' }));
    expect(mine.all).toEqual({ a: { name: 'Baca' }, b: { name: 'Juhas' } });
    window.dispatchEvent(new StorageEvent('storage', { key: 'watra.begun.test.b', newValue: null }));
    expect(mine.all).toEqual({ a: { name: 'Baca' } });
    expect(names().all).toEqual({ a: { name: 'Baca' } });
  });
});

describe('keepHere', () => {
  beforeEach(() => { localStorage.clear(); sessionStorage.clear(); });

  it('is this tab’s own over a reload, and what a new tab begins with', () => {
    keepHere('words', 'mine');
    keep('words', 'of another tab');
    expect(keptHere('words')).toBe('mine');
    sessionStorage.clear();
    expect(keptHere('words')).toBe('of another tab');
  });

  it('lets go of its own words alone', () => {
    keepHere('words', 'mine');
    keep('words', 'of another tab');
    keepHere('words', '');
    expect([keptHere('words'), kept('words')]).toEqual(['', 'of another tab']);
    sessionStorage.clear();
    keepHere('words', '');
    expect(kept('words')).toBe('');
  });
});
