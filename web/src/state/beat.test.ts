import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import type { WatraEvent } from '../wire/types';
import { Beat, type Pace } from './beat';

const PACE: Pace = { words_ms: 200, figures_ms: 1100, gather_ms: 250 };
let seq = 0;
const event = (type: string, data: Record<string, unknown>, node = 'm1'): WatraEvent => ({ v: 1, seq: ++seq, at: 0, type, thread: 't1', node, data }) as unknown as WatraEvent;
const piece = (text: string) => event('answer.piece', { part: 0, kind: 'text', text });
const progress = (state: string, done: number) => event('answer.progress', { state, write: { done } });

function listen() {
  const heard: { at: number; event: WatraEvent }[] = [];
  const beat = new Beat((one) => heard.push({ at: performance.now(), event: one }), () => PACE);
  return { beat, heard, words: () => heard.filter((h) => h.event.type === 'answer.piece').map((h) => h.event.data['text']).join('') };
}

describe('the beat of the stream', () => {
  beforeEach(() => { vi.useFakeTimers(); });
  afterEach(() => { vi.useRealTimers(); });

  it('hands the first words on at once and all others together, none lost and in their order', () => {
    const { beat, heard, words } = listen();
    const began = performance.now();
    let wanted = '';
    for (let i = 0; i < 100; i++) { beat.take(piece(`${i} `)); wanted += `${i} `; vi.advanceTimersByTime(10); }
    vi.advanceTimersByTime(400);
    expect(words()).toBe(wanted);
    expect(heard[0]!.at).toBe(began);
    const moments = [...new Set(heard.map((h) => h.at))];
    expect(moments.length).toBeGreaterThanOrEqual(5);
    expect(moments.length).toBeLessThanOrEqual(7);
  });

  it('lets a slow model speak without delay', () => {
    const { beat, heard } = listen();
    const came: number[] = [];
    for (let i = 0; i < 5; i++) { came.push(performance.now()); beat.take(piece('w ')); vi.advanceTimersByTime(900); }
    expect(heard.map((h) => h.at)).toEqual(came);
  });

  it('hands on what is more than a figure at once, after the words before it', () => {
    const { beat, heard } = listen();
    beat.take(progress('speaking', 0));
    beat.take(piece('a'));
    vi.advanceTimersByTime(1);
    beat.take(piece('b'));
    beat.take(event('answer.ended', {}));
    expect(heard.map((h) => h.event.type)).toEqual(['answer.progress', 'answer.piece', 'answer.piece', 'answer.ended']);
    vi.advanceTimersByTime(5000);
    expect(heard).toHaveLength(4);
  });

  it('does not let words wait for figures', () => {
    const { beat, words } = listen();
    beat.take(progress('thinking', 0));
    for (let i = 1; i < 4; i++) { beat.take(progress('thinking', i)); vi.advanceTimersByTime(50); }
    beat.take(piece('at last'));
    vi.advanceTimersByTime(1);
    expect(words()).toBe('at last');
  });

  it('lets figures come with the words, without a picture of their own, when words are gathered', () => {
    const { beat, heard } = listen();
    beat.take(progress('speaking', 0));
    for (let i = 1; i <= 40; i++) {
      beat.take(piece(`${i} `));
      beat.take(progress('speaking', i));
      vi.advanceTimersByTime(PACE.gather_ms);
    }
    const words = new Set(heard.filter((h) => h.event.type === 'answer.piece').map((h) => h.at));
    const figures = heard.filter((h) => h.event.type === 'answer.progress').slice(1).map((h) => h.at);
    expect(words.size).toBe(40);
    expect(figures.length).toBeGreaterThanOrEqual(8);
    expect(figures.length).toBeLessThanOrEqual(13);
    expect(figures.filter((at) => !words.has(at))).toEqual([]);
  });

  it('tells figures about once a second, the newest only, and a new state at once', () => {
    const { beat, heard } = listen();
    beat.take(progress('reading', 0));
    for (let i = 1; i <= 30; i++) { beat.take(progress('reading', i)); vi.advanceTimersByTime(100); }
    vi.advanceTimersByTime(1100);
    const told = heard.map((h) => (h.event.data['write'] as { done: number }).done);
    expect(told.length).toBeLessThanOrEqual(6);
    expect(told.at(-1)).toBe(30);
    const before = heard.length;
    beat.take(progress('speaking', 31));
    expect(heard).toHaveLength(before + 1);
  });
});
