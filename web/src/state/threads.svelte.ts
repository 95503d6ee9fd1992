// The list of conversations.
import { create, get, patch, post, Refusal, remove } from '../wire/client';
import type { Thread } from '../wire/types';
import { on, onRenew } from './bus';
import { attempt } from './notice.svelte';

const behind = (end: Thread | null) => (end ? `&before=${end.updated_ms}&before_id=${end.id}&before_pinned=${end.pinned}` : '');

/** What can be done with many. */
export interface Many { archived?: boolean; folder?: string | null; add_tags?: string[]; remove_tags?: string[] }
const AT_ONCE = 500; // the server takes no more

const STOPPING_MS = 30_000; // a large model is in the middle of a step for seconds
/** Erases; an answer that is under way there is stopped first, as nobody waits for it any more. */
async function evenSpeaking<T>(erase: () => Promise<T>): Promise<T> {
  for (const since = performance.now(); ; ) {
    try { return await erase(); } catch (error) {
      if (!(error instanceof Refusal) || error.code !== 'thread.busy' || !error.error.hint || performance.now() - since > STOPPING_MS) throw error;
      await post(`/runs/${error.error.hint}/stop`).catch(() => undefined); // it may have ended by now
      await new Promise((go) => setTimeout(go, 150));
    }
  }
}

class Threads {
  #erased = new Set<string>();
  #elsewhere = new Map<string, Thread>(); // archived ones that were opened without looking into the archive
  #end: Thread | null = null; // where the pages have come to; what events brought may be older
  #endAway: Thread | null = null;
  list = $state.raw<Thread[]>([]);
  known = $state(false);
  more = $state(false);
  archive = $state.raw<Thread[] | null>(null); // what was put away; null until somebody looks
  moreAway = $state(false);

  async load(): Promise<void> {
    const answer = await get<{ threads: Thread[]; more: boolean }>('/threads?limit=200');
    this.list = answer.threads;
    this.#end = answer.threads.at(-1) ?? null;
    this.more = answer.more;
    this.known = true;
  }
  async older(): Promise<void> {
    if (!this.#end) return;
    const answer = await attempt(() => get<{ threads: Thread[]; more: boolean }>(`/threads?limit=200${behind(this.#end)}`));
    if (!answer) return;
    this.#end = answer.threads.at(-1) ?? null;
    this.more = answer.more;
    for (const thread of answer.threads) this.take(thread);
  }
  async lookIntoArchive(): Promise<void> { await this.#away([], null); }
  async olderAway(): Promise<void> { await this.#away(this.archive ?? [], this.#endAway); }
  async #away(before: Thread[], end: Thread | null): Promise<void> {
    const answer = await attempt(() => get<{ threads: Thread[]; more: boolean }>(`/threads?limit=200&archived=true${behind(end)}`));
    if (!answer) return;
    const known = new Set(before.map((thread) => thread.id));
    this.archive = [...before, ...answer.threads.filter((thread) => !known.has(thread.id))];
    this.#endAway = answer.threads.at(-1) ?? end;
    this.moreAway = answer.more;
  }
  find(id: string | null): Thread | undefined { return this.list.find((thread) => thread.id === id) ?? this.archive?.find((thread) => thread.id === id) ?? this.#elsewhere.get(id ?? ''); }
  /** What conversations are tagged with, of those that are known. */
  get tags(): string[] { return [...new Set([...this.list, ...(this.archive ?? [])].flatMap((thread) => thread.tags))].sort((a, b) => a.localeCompare(b)); }
  get folders(): string[] { return [...new Set(this.list.map((thread) => thread.folder).filter((folder) => folder !== null))].sort((a, b) => a.localeCompare(b)); }

  take(thread: Thread): void {
    const rest = this.list.filter((other) => other.id !== thread.id);
    if (this.archive) this.archive = [...(thread.archived ? [thread] : []), ...this.archive.filter((other) => other.id !== thread.id)];
    else if (thread.archived) this.#elsewhere.set(thread.id, thread);
    this.list = thread.archived ? rest : [...rest, thread].sort((a, b) => Number(b.pinned) - Number(a.pinned) || b.updated_ms - a.updated_ms || (b.id > a.id ? 1 : -1));
  }
  /** Without a word about the persona with the one that the settings name. */
  async create(persona?: string | null): Promise<Thread | undefined> {
    const thread = await attempt(() => create<Thread>('/threads', persona === undefined ? {} : { persona }));
    if (thread) this.take(thread);
    return thread;
  }
  async change(id: string, what: Partial<Thread>): Promise<void> {
    const thread = await attempt(() => patch<Thread>(`/threads/${id}`, what));
    if (thread) this.take(thread);
  }
  /** Many at once; what came of it is here when it is done. False where it was refused. */
  async changeMany(ids: readonly string[], what: Many): Promise<boolean> {
    const left = ids.filter((id) => !this.isErased(id)); // what is taken back may have been erased meanwhile
    for (let at = 0; at < left.length; at += AT_ONCE) {
      const answer = await attempt(() => patch<{ threads: Thread[] }>('/threads', { ids: left.slice(at, at + AT_ONCE), ...what }));
      if (!answer) return false;
      for (const thread of answer.threads) this.take(thread);
    }
    return true;
  }
  async eraseMany(ids: readonly string[]): Promise<boolean> {
    for (let at = 0; at < ids.length; at += AT_ONCE) {
      const some = ids.slice(at, at + AT_ONCE);
      if (!(await attempt(() => evenSpeaking(() => post<object>('/threads/erase', { ids: some }))))) return false;
      for (const id of some) this.gone(id);
    }
    return true;
  }
  /** Whether it was erased while this page was open. */
  isErased(id: string | null): boolean { return id !== null && this.#erased.has(id); }
  gone(id: string | null): void {
    if (id !== null) this.#erased.add(id);
    this.#elsewhere.delete(id ?? '');
    this.list = this.list.filter((thread) => thread.id !== id);
    if (this.archive) this.archive = this.archive.filter((thread) => thread.id !== id);
  }
  async erase(id: string): Promise<boolean> {
    const done = await attempt(() => evenSpeaking(async () => { await remove(`/threads/${id}`); return true; }));
    if (done) this.gone(id);
    return done === true;
  }
}
export const threads = new Threads();
on('thread.changed', (event) => { const thread = event.data as unknown as Thread; if (!(thread as { hidden?: boolean }).hidden) threads.take(thread); });
on('thread.removed', (event) => threads.gone(event.thread));
onRenew(() => { if (threads.known) void attempt(() => threads.load()); });
