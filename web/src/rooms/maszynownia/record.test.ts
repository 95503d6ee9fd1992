import { describe, expect, it } from 'vitest';

import type { Sample } from '../../wire/types';
import { KEPT, Record } from './record';

const DAY = 86_400_000;
const at = (...times: number[]) => times.map((at_ms) => ({ at_ms }) as Sample);
const times = (list: readonly Sample[]) => list.map((one) => one.at_ms);
const seconds = (from: number, n: number) => Array.from({ length: n }, (_, i) => from + i * 1000);

/** A server as it is: what is younger than `since`, in the order in which it was measured. */
class Server {
  all: number[] = [];
  ask(record: Record): number[] { return times(record.take(at(...this.all.filter((one) => one > record.since)), this.all[0] ?? 0)); }
}

describe('the record of the machine room', () => {
  it('goes on, and keeps ten minutes', () => {
    const [record, server] = [new Record(), new Server()];
    server.all = seconds(DAY, 3);
    expect(server.ask(record)).toEqual(seconds(DAY, 3));
    expect(record.since).toBe(DAY + 2000);
    server.all = seconds(DAY, KEPT + 20);
    expect(server.ask(record)).toHaveLength(KEPT);
  });
  it('begins anew where the clock was set back, and does not take the other time up again', () => {
    const [record, server] = [new Record(), new Server()];
    server.all = seconds(2 * DAY, 5);
    server.ask(record);
    for (let n = 1; n < 12; n++) { server.all = [...seconds(2 * DAY, 5), ...seconds(DAY, n)]; server.ask(record); }
    expect(times(record.list)).toEqual(seconds(DAY, 11));
  });
  it('begins anew where the clock was set forwards, or the machine slept', () => {
    const [record, server] = [new Record(), new Server()];
    server.all = seconds(DAY, 5);
    server.ask(record);
    server.all = [...server.all, ...seconds(2 * DAY, 2)];
    expect(server.ask(record)).toEqual(seconds(2 * DAY, 2));
  });
  it('is that of the house that was started last', () => {
    const record = new Record();
    record.take(at(1000, 2000, 3000), 1000);
    expect(times(record.take(at(9000), 8500))).toEqual([9000]);
    expect(times(record.take([], 8500))).toEqual([9000]);
  });
});
