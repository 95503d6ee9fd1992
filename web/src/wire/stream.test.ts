// The stream as a page meets it: a connection that dies without a word is found dead, a quiet house is left in peace.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { Stream } from './stream';

class Source {
  static all: Source[] = [];
  onopen = () => undefined as void;
  onerror = () => undefined as void;
  onmessage = (_message: { data: string }) => undefined as void;
  closed = false;
  constructor(readonly url: string) { Source.all.push(this); }
  close(): void { this.closed = true; }
  tell(seq: number, type: string, data: object = {}): void { this.onmessage({ data: JSON.stringify({ v: 1, seq, at: 0, type, thread: null, node: null, data }) }); }
}
const newestSource = () => Source.all.at(-1)!;

describe('Stream', () => {
  let newest: number | null;
  let asked: number;
  let way: boolean[];
  let heard: number[];
  let stream: Stream;
  const QUIET_MS = 20_000;
  beforeEach(() => {
    vi.useFakeTimers();
    vi.stubGlobal('EventSource', Source);
    Source.all = [];
    newest = 7;
    asked = 0;
    way = [];
    heard = [];
    stream = new Stream(7, { event: (event) => heard.push(event.seq), hello: () => undefined, reachable: (yes) => way.push(yes), newest: () => { asked++; return Promise.resolve(newest); } });
    stream.open();
    newestSource().onopen();
    newestSource().tell(7, 'engine.hello', { boot: 'a', resumed: true });
    newestSource().tell(7, 'hearth.state', { state: 'idle' });
  });
  afterEach(() => { stream.close(); vi.useRealTimers(); vi.unstubAllGlobals(); });

  it('asks after a silence, and goes on where nothing happened', async () => {
    await vi.advanceTimersByTimeAsync(3 * QUIET_MS + 100);
    expect([asked, Source.all.length, way.includes(false)]).toEqual([3, 1, false]);
  });

  it('asks sooner while something is to be heard every moment', async () => {
    newestSource().tell(8, 'hearth.state', { state: 'speaking' });
    newest = 8;
    await vi.advanceTimersByTimeAsync(5100);
    expect([asked, Source.all.length]).toEqual([1, 1]);
  });

  it('says that nobody answers, and takes up the thread behind the last event', async () => {
    newestSource().tell(8, 'answer.piece');
    newest = null;
    await vi.advanceTimersByTimeAsync(QUIET_MS + 100);
    expect([Source.all[0]!.closed, way.at(-1)]).toEqual([true, false]);
    await vi.advanceTimersByTimeAsync(600);
    expect(newestSource().url).toContain('after=8');
    newestSource().onopen();
    newestSource().tell(9, 'engine.hello', { boot: 'a', resumed: true });
    newestSource().tell(9, 'answer.piece');
    expect([way.at(-1), heard.filter((seq) => seq === 9).length]).toEqual([true, 1]);
  });

  it('does not wait for a connection that has died while another would do', async () => {
    newest = 12; // told to nobody here
    await vi.advanceTimersByTimeAsync(QUIET_MS + 3100 + 600);
    expect([Source.all[0]!.closed, Source.all.length]).toEqual([true, 2]);
  });

  it('gives what is on its way the time to come', async () => {
    newest = 9;
    await vi.advanceTimersByTimeAsync(QUIET_MS + 1000);
    newestSource().tell(9, 'hearth.state', { state: 'idle' });
    await vi.advanceTimersByTimeAsync(5000);
    expect([Source.all.length, way.includes(false)]).toEqual([1, false]);
  });

  it('tries again where a connection does not come about, and at once when a network came', async () => {
    newestSource().onerror();
    await vi.advanceTimersByTimeAsync(500);
    expect(Source.all.length).toBe(2);
    await vi.advanceTimersByTimeAsync(10_000); // no word of it
    expect([Source.all[1]!.closed, way.at(-1)]).toEqual([true, false]);
    stream.look();
    expect(Source.all.length).toBe(3);
  });
});
