// Which conversations of the list are chosen, and what is done with all of them. What can be taken back is offered to be.
import { current } from '../../state/conversation.svelte';
import { notices } from '../../state/notice.svelte';
import { route } from '../../state/route.svelte';
import { threads, type Many } from '../../state/threads.svelte';
import type { Thread } from '../../wire/types';
import { t, type Key } from '../../words/index.svelte';

class Chosen {
  /** Whether one chooses now, instead of opening. */
  on = $state(false);
  #ids = $state.raw<ReadonlySet<string>>(new Set());
  #from: string | null = null; // where a row of them begins

  has(id: string): boolean { return this.#ids.has(id); }
  get list(): Thread[] { return [...this.#ids].map((id) => threads.find(id)).filter((thread) => thread !== undefined); }
  get size(): number { return this.list.length; }

  begin(id: string | null = null): void {
    this.on = true;
    this.#ids = new Set(id ? [id] : []);
    this.#from = id;
  }
  end(): void {
    this.on = false;
    this.#ids = new Set();
    this.#from = null;
  }
  /** This one in or out; `row`: all from the one before to this one, as the list stands. */
  turn(id: string, row = false, order: readonly string[] = []): void {
    const next = new Set(this.#ids);
    const [from, to] = [order.indexOf(this.#from ?? id), order.indexOf(id)].sort((a, b) => a - b);
    if (row && from !== undefined && to !== undefined && from >= 0) for (const one of order.slice(from, to + 1)) next.add(one);
    else if (!next.delete(id)) next.add(id);
    if (!row) this.#from = id;
    this.#ids = next;
  }
  /** All of them, or none where all were. */
  all(order: readonly string[]): void { this.#ids = new Set(order.every((id) => this.#ids.has(id)) ? [] : order); }
}
export const chosen = new Chosen();

const idsOf = (list: readonly Thread[]): string[] => list.map((thread) => thread.id);

/** Does it, says so, and offers the way back: the same ones, as each was. */
async function change(list: readonly Thread[], what: Many, said: string, back: () => [readonly Thread[], Many][]): Promise<boolean> {
  const ways = back();
  if (list.length === 0 || !(await threads.changeMany(idsOf(list), what))) return false;
  notices.say(said, 'plain', { label: t('undo'), run: () => void (async () => { for (const [some, was] of ways) if (some.length > 0) await threads.changeMany(idsOf(some), was); })() });
  return true;
}
const saying = (key: Key, list: readonly Thread[], more: Record<string, string> = {}) => t(key, { n: list.length, ...more });

export async function putAway(list: readonly Thread[], archived: boolean): Promise<boolean> {
  const moved = list.filter((thread) => thread.archived !== archived);
  const done = await change(moved, { archived }, saying(archived ? 'many.archived' : 'many.restored', moved), () => [[moved, { archived: !archived }]]);
  if (done && archived && moved.some((thread) => thread.id === current.open?.id)) route.go('izba');
  return done;
}
export function putIntoFolder(list: readonly Thread[], folder: string | null): Promise<boolean> {
  const back = (): [readonly Thread[], Many][] => [...new Set(list.map((thread) => thread.folder))].map((was) => [list.filter((thread) => thread.folder === was), { folder: was }]);
  return change(list, { folder }, folder === null ? saying('many.unfoldered', list) : saying('many.foldered', list, { folder }), back);
}
export function tag(list: readonly Thread[], name: string): Promise<boolean> {
  const bare = list.filter((thread) => !thread.tags.includes(name));
  return change(bare, { add_tags: [name] }, saying('many.tagged', bare, { tag: name }), () => [[bare, { remove_tags: [name] }]]);
}
export function untag(list: readonly Thread[], name: string): Promise<boolean> {
  const with_ = list.filter((thread) => thread.tags.includes(name));
  return change(with_, { remove_tags: [name] }, saying('many.untagged', with_, { tag: name }), () => [[with_, { add_tags: [name] }]]);
}
export async function eraseAll(list: readonly Thread[]): Promise<boolean> {
  const open = list.some((thread) => thread.id === current.open?.id);
  if (!(await threads.eraseMany(idsOf(list)))) return false;
  notices.say(saying('many.erased', list));
  if (open) route.go('izba');
  return true;
}
