// Small named things that the person keeps on the server: personas, ready-made settings, words kept ready, sets of questions. Each is written whole; what another
// page does with one is seen here, and not written over.
import { get, put, remove } from '../wire/client';
import { on, onRenew } from './bus';
import { attempt } from './notice.svelte';

export class Kept<T extends { id: string; updated_ms: number }> {
  all = $state.raw<T[]>([]);
  known = $state(false);
  readonly #path: string;

  /** `kind` is that of events, `plural` that of the list. */
  constructor(kind: string, private readonly plural: string) {
    this.#path = `/${plural}`;
    const again = () => { if (this.known) void this.renew().catch(() => undefined); }; // who has asked for none needs none
    on(`${kind}.changed`, again);
    onRenew(again);
  }
  async need(): Promise<void> { if (!this.known) await this.renew(); }
  async renew(): Promise<void> {
    this.all = (await get<Record<string, T[]>>(this.#path))[this.plural] ?? [];
    this.known = true;
  }
  find(id: string | null): T | undefined { return this.all.find((one) => one.id === id); }
  /** `seen` is the time of what was edited, 0 for a new one; absent: whatever is there is written over. Whether it was done. */
  async keep(id: string, what: object, seen?: number): Promise<boolean> {
    const kept = await attempt(() => put<T>(`${this.#path}/${id}`, { ...what, ...(seen === undefined ? {} : { if_updated_ms: seen }) }));
    if (!kept) await attempt(() => this.renew());
    if (kept) this.all = [...this.all.filter((one) => one.id !== id), kept];
    return kept !== undefined;
  }
  async drop(id: string): Promise<void> {
    if (await attempt(() => remove(`${this.#path}/${id}`).then(() => true))) this.all = this.all.filter((one) => one.id !== id);
  }
}
