// What the machine told of itself, a sample a second: ten minutes of one time. Where its clock was set, or it slept, what came before is of another
// time: the record begins anew, and what a server still holds of that time stays out.
import type { Sample } from '../../wire/types';

export const KEPT = 600; // ten minutes, as the server keeps them
const GAP_MS = KEPT * 1000;
const SILENT = 4; // so many answers without a sample are no chance: the server counts from a time that has not come

export class Record {
  list: readonly Sample[] = [];
  #silent = 0;
  #left: [number, number][] = []; // times that were left behind, from and to

  /** From when samples are to be told. */
  get since(): number { return this.#silent >= SILENT ? 0 : (this.list.at(-1)?.at_ms ?? 0); }

  /** `from`: when the server's record begins; a house that was started anew has one of its own. */
  take(came: readonly Sample[], from: number): readonly Sample[] {
    const known = this.#silent >= SILENT ? [] : this.list; // all of it was asked for
    const fresh = came.filter(({ at_ms }) => !this.#left.some(([first, last]) => at_ms >= first && at_ms <= last));
    this.#silent = fresh.length > 0 ? 0 : this.#silent + 1;
    const all: Sample[] = [];
    for (const sample of [...known, ...fresh]) {
      const before = all.at(-1)?.at_ms;
      if (before !== undefined && (sample.at_ms <= before || sample.at_ms - before > GAP_MS)) {
        if (sample.at_ms <= before) this.#left = [...this.#left, [all[0]!.at_ms, before] as [number, number]].slice(-4);
        all.length = 0;
      }
      all.push(sample);
    }
    const newest = all.at(-1)?.at_ms ?? 0;
    this.list = all.filter(({ at_ms }) => at_ms >= from || from > newest /* of a time that was left */).slice(-KEPT);
    return this.list;
  }
}
