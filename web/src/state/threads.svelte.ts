// The list of conversations.
import { clientId, get, patch, post, remove } from '../wire/client';
import type { Thread } from '../wire/types';
import { on, onRenew } from './bus';
import { attempt } from './notice.svelte';

class Threads {
  list = $state.raw<Thread[]>([]);
  known = $state(false);
  more = $state(false);

  async load(): Promise<void> {
    const answer = await get<{ threads: Thread[]; more: boolean }>('/threads?limit=200');
    this.list = answer.threads;
    this.more = answer.more;
    this.known = true;
  }
  find(id: string | null): Thread | undefined { return this.list.find((thread) => thread.id === id); }

  take(thread: Thread): void {
    const rest = this.list.filter((other) => other.id !== thread.id);
    this.list = thread.archived ? rest : [...rest, thread].sort((a, b) => Number(b.pinned) - Number(a.pinned) || b.updated_ms - a.updated_ms);
  }
  async create(): Promise<Thread | undefined> {
    const thread = await attempt(() => post<Thread>('/threads', { client_id: clientId() }));
    if (thread) this.take(thread);
    return thread;
  }
  async change(id: string, what: Partial<Thread>): Promise<void> {
    const thread = await attempt(() => patch<Thread>(`/threads/${id}`, what));
    if (thread) this.take(thread);
  }
  async erase(id: string): Promise<boolean> {
    const done = await attempt(async () => { await remove(`/threads/${id}`); return true; });
    if (done) this.list = this.list.filter((thread) => thread.id !== id);
    return done === true;
  }
}
export const threads = new Threads();
on('thread.changed', (event) => { const thread = event.data as unknown as Thread; if (!(thread as { hidden?: boolean }).hidden) threads.take(thread); });
on('thread.removed', (event) => { threads.list = threads.list.filter((thread) => thread.id !== event.thread); });
onRenew(() => { if (threads.known) void attempt(() => threads.load()); });
