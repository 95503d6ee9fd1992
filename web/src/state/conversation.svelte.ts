// One conversation: the tree of its messages, the branch that is shown, the run under way. Pieces come at the beat of the stream (beat.ts) and
// are put in together; only the message they belong to changes.
import { create, get, post, patch, remove, Refusal } from '../wire/client';
import type { Message, Part, Run, Sampling, Thread, Turn } from '../wire/types';
import { isBlank } from '../parts/blank';
import { begun } from './begun.svelte';
import { on, onRenew } from './bus';
import { t } from '../words/index.svelte';
import { attempt, notices } from './notice.svelte';
import { threads } from './threads.svelte';

export class Node {
  message = $state.raw<Message>() as Message;
  children = $state.raw<string[]>([]);
  readonly id: string; // id and parent never change: who asks for them does not wait for the words
  readonly parent: string | null;
  constructor(message: Message) { this.message = message; this.id = message.id; this.parent = message.parent; }
}

export const wordsOf = (message: Message): string => message.parts.map((part) => (part.type === 'text' ? part.text : '')).join('');

export interface Say { parts: Part[]; ref?: string | null }
/** `begin`: the first words of the answer. */
export interface Wish { model?: string; sampling?: Sampling; persona?: string; begin?: string }

/** What is typed as the beginning of an answer, as it is asked for: a space at its end would only be in the way of the next word. */
export function beginning(typed: string): Wish {
  const begin = typed.replace(/[ \t]+$/, '');
  return isBlank(begin) ? {} : { begin };
}

const AGAIN_MS = 2000; // the pause before a conversation that did not come is asked for again

export class Conversation {
  readonly id: string;
  head = $state<string | null>(null);
  run = $state.raw<Run | null>(null);
  #asking = $state(false); // a turn is on its way to the server
  /** From the click on: nothing else is asked for until this answer is written. */
  busy = $derived(this.#asking || this.run !== null);
  ready = $state(false);
  missing = $state(false);
  version = $state(0);
  seesFrom = $state<string | null>(null);
  editing = $state<{ id: string; text: string } | null>(null); // a message being edited; its row may leave the document meanwhile
  /** Versions were leafed through: the message that is to stand where the one before stood, its beginning or its end so far down the window. */
  flipped = $state.raw<{ id: string; step: number; top: number; bottom: number; swept: boolean } | null>(null);
  nodes = new Map<string, Node>();
  #roots: string[] = [];
  #orphans = new Map<string, string[]>(); // children whose parent has not come yet (the newest part of a tree is fetched first)
  #pieces = new Map<string, { seq: number; part: number; kind: 'text' | 'reasoning'; text: string }[]>();
  #due = false;
  #waiting: (() => void)[] = []; // for it to be ready, or for a try that failed

  constructor(id: string) { this.id = id; }

  path = $derived.by((): Node[] => {
    void this.version;
    const list: Node[] = [];
    for (let at = this.head ? this.nodes.get(this.head) : undefined; at; at = at.parent ? this.nodes.get(at.parent) : undefined) list.push(at);
    return list.reverse();
  });

  get thread(): Thread | undefined { return threads.find(this.id); }

  async load(): Promise<void> {
    let before = '';
    try {
      const { thread } = await get<{ thread: Thread }>(`/threads/${this.id}`);
      threads.take(thread);
      for (let more = true; more; ) {
        const page = await get<{ messages: Message[]; more: boolean }>(`/threads/${this.id}/messages?limit=${before ? 2000 : 300}${before}`);
        for (const message of page.messages) this.#put(message);
        this.head ??= thread.head;
        more = page.more;
        before = `&before=${page.messages[0]?.log ?? 0}`;
        this.version++;
        this.#flush();
        this.ready = true;
        this.#tell();
      }
      this.#resumeEdit();
      if (!thread.run) return;
      const run = (await get<{ runs: Run[] }>('/runs')).runs.find((one) => one.thread === this.id);
      // Its end may have been told while this was being asked.
      if (run && this.nodes.get(run.answer)?.message.state === 'running') this.run = run;
    } catch (error) {
      const refused = error instanceof Refusal && error.status !== 401 && error.status >= 400 && error.status < 500;
      if (refused) this.missing = true;
      else setTimeout(() => { if (current.open === this) void this.load(); }, AGAIN_MS); // nobody said that it is gone
      this.#tell();
    }
  }
  #tell(): void { for (const go of this.#waiting.splice(0)) go(); }

  #put(message: Message): void {
    if (message.state === 'erased') begun.edits.drop(message.id);
    const known = this.nodes.get(message.id);
    if (known) { if (message.seq >= known.message.seq) known.message = message; return; }
    const node = new Node(message);
    this.nodes.set(message.id, node);
    node.children = this.#orphans.get(message.id) ?? [];
    const inOrder = (ids: string[]) => ids.sort((a, b) => (this.nodes.get(a)?.message.log ?? 0) - (this.nodes.get(b)?.message.log ?? 0));
    if (!message.parent) { this.#roots = inOrder([...this.#roots, message.id]); return; }
    const parent = this.nodes.get(message.parent);
    if (parent) parent.children = inOrder([...parent.children, message.id]);
    else this.#orphans.set(message.parent, inOrder([...(this.#orphans.get(message.parent) ?? []), message.id]));
  }

  /** Ids of the messages that stand where this one stands. */
  siblings(message: Message): string[] {
    void this.version;
    if (!message.parent) return this.#roots;
    const found = this.nodes.get(message.parent)?.children ?? [];
    return found.includes(message.id) ? found : [message.id];
  }

  /** Shows the branch through this message, down to its newest end. */
  show(id: string): void {
    let at = id;
    for (let next = this.nodes.get(at)?.children.at(-1); next; next = this.nodes.get(at)?.children.at(-1)) at = next;
    this.head = at;
    void patch(`/threads/${this.id}`, { head: at }).catch(() => undefined);
  }

  /** Shows the version that stands `step` beside this one, if there is one. */
  leaf(message: Message, step: number): void {
    const all = this.siblings(message);
    const next = all[all.indexOf(message.id) + step];
    if (next) this.show(next);
  }

  async #turn(body: Record<string, unknown>): Promise<Turn | undefined> {
    if (this.busy) return undefined;
    this.#asking = true;
    const turn = await attempt(() => create<Turn>(`/threads/${this.id}/turns`, body));
    if (turn) {
      if (turn.message) this.#put(turn.message);
      this.#put(turn.answer);
      if (this.nodes.get(turn.answer.id)?.message.state === 'running') this.run = turn.run;
      this.head = turn.answer.id;
      this.version++;
    }
    this.#asking = false;
    return turn;
  }
  /** What is said while the conversation is still on its way waits for it: before that nobody knows what it follows. */
  async say(what: Say, wish: Wish = {}, parent?: string | null): Promise<Turn | undefined> {
    if (!this.ready) await new Promise<void>((go) => this.#waiting.push(go));
    if (!this.ready) { notices.say(t('error.unreachable'), 'bad'); return undefined; }
    return this.#turn({ parent: parent === undefined ? this.head : parent, parts: what.parts, ref: what.ref ?? undefined, ...wish });
  }
  again(answer: Message, wish: Wish = {}) { return this.#turn({ parent: answer.parent, ...wish }); }
  goOn(answer: Message) { return this.#turn({ continue: answer.id }); }
  startEdit(message: Message): void { this.editing = { id: message.id, text: begun.edits.all[message.id]?.text ?? wordsOf(message) }; }
  editTo(text: string): void {
    if (!this.editing) return;
    this.editing.text = text;
    begun.edits.write(this.editing.id, { text, open: true });
  }
  /** The field is closed; what was changed waits, until it is sent or let go. */
  closeEdit(): void {
    const draft = begun.edits.all[this.editing?.id ?? ''];
    if (draft) begun.edits.write(this.editing!.id, { ...draft, open: false });
    this.editing = null;
  }
  endEdit(): void {
    if (this.editing) begun.edits.drop(this.editing.id);
    this.editing = null;
  }
  /** A message of the branch that was being edited when the page was left. */
  #resumeEdit(): void {
    const node = this.editing ? undefined : this.path.find((one) => begun.edits.all[one.id]?.open);
    if (node) this.startEdit(node.message);
  }
  edit(message: Message, text: string) { return this.say({ parts: [...message.parts.filter((p) => p.type !== 'text'), { type: 'text', text }], ref: message.ref }, {}, message.parent); }
  /** An answer in the person's words: a version beside it. `on`: the model goes on from its end; words that did not change need no version for that. */
  async rewrite(answer: Message, text: string, on: boolean): Promise<Message | undefined> {
    if (this.busy) return undefined;
    this.#asking = true;
    const mine = text === wordsOf(answer) ? answer : await attempt(() => create<Message>(`/messages/${answer.id}/versions`, { text }));
    if (mine && mine !== answer) {
      this.#put(mine);
      this.head = mine.id;
      this.version++;
    }
    this.#asking = false;
    if (mine && on) await this.goOn(mine);
    return mine;
  }
  async stop(): Promise<void> {
    const run = this.run;
    if (run) await attempt(() => post<Run>(`/runs/${run.id}/stop`).catch((error: unknown) => { if (!(error instanceof Refusal && error.status === 404)) throw error; })); // it ended by itself meanwhile
  }
  pin(message: Message) { return attempt(() => patch<Message>(`/messages/${message.id}`, { pinned: !message.pinned })); }
  erase(message: Message) { return attempt(() => remove(`/messages/${message.id}`)); }
  /** The pinned messages of the whole tree, oldest first. */
  pinned(): Message[] { return [...this.nodes.values()].map((node) => node.message).filter((message) => message.pinned).sort((a, b) => a.log - b.log); }
  async fork(at: Message): Promise<Thread | undefined> {
    const thread = await attempt(() => create<Thread>(`/threads/${this.id}/fork`, { at: at.id }));
    if (thread) threads.take(thread);
    return thread;
  }

  piece(message: string, seq: number, part: number, kind: 'text' | 'reasoning', text: string): void {
    const list = this.#pieces.get(message) ?? [];
    list.push({ seq, part, kind, text });
    this.#pieces.set(message, list);
    if (this.#due) return;
    this.#due = true;
    queueMicrotask(() => this.#flush()); // all of a beat come in one task
  }
  #flush(): void {
    this.#due = false;
    const early = new Map<string, { seq: number; part: number; kind: 'text' | 'reasoning'; text: string }[]>();
    for (const [id, pieces] of this.#pieces) {
      const node = this.nodes.get(id);
      // A piece may overtake the answer that holds its message: it waits until the tree is here.
      if (!node) { if (!this.ready) early.set(id, pieces); continue; }
      const parts = [...node.message.parts];
      let seq = node.message.seq;
      for (const piece of pieces) {
        if (piece.seq <= seq) continue;
        seq = piece.seq;
        const old = parts[piece.part];
        if (old && (old.type === 'text' || old.type === 'reasoning')) parts[piece.part] = { ...old, text: old.text + piece.text };
        else parts[piece.part] = piece.kind === 'text' ? { type: 'text', text: piece.text } : { type: 'reasoning', text: piece.text, seconds: null };
      }
      node.message = { ...node.message, parts, seq };
    }
    this.#pieces = early;
  }
  takeMessage(message: Message): void {
    this.#flush();
    const isNew = !this.nodes.has(message.id);
    this.#put(message);
    if (isNew) {
      if (message.parent === this.head || this.head === null) this.head = message.id;
      this.version++;
    }
  }
}

/** One that outlives the room in which it is opened: what is derived in it would stand still with the end of the effect that made it. */
export function opened(id: string): Conversation {
  let made: Conversation | undefined;
  $effect.root(() => { made = new Conversation(id); });
  return made!;
}

class Current {
  open = $state.raw<Conversation | null>(null);
  show(id: string | null): void {
    if (this.open?.id === (id ?? undefined)) return;
    this.open = id ? opened(id) : null;
    if (this.open) void this.open.load();
  }
  /** One that was made a moment ago. */
  begin(open: Conversation): void { this.open = open; void open.load(); }
  renew(): void {
    const id = this.open?.id;
    if (!id) return;
    this.open = opened(id);
    void this.open.load();
  }
}
export const current = new Current();

const here = (thread: string | null) => (current.open && current.open.id === thread ? current.open : null);
on('thread.message', (event) => here(event.thread)?.takeMessage(event.data as unknown as Message));
on('answer.started', (event) => {
  const conversation = here(event.thread);
  conversation?.takeMessage(event.data['message'] as Message);
  if (conversation) conversation.run = event.data['run'] as Run;
});
on('answer.progress', (event) => { const c = here(event.thread); if (c) c.run = event.data as unknown as Run; });
on('answer.piece', (event) => {
  const { part, kind, text } = event.data as { part: number; kind: 'text' | 'reasoning'; text: string };
  if (event.node) here(event.thread)?.piece(event.node, event.seq, part, kind, text);
});
on('answer.ended', (event) => {
  const conversation = here(event.thread);
  conversation?.takeMessage(event.data['message'] as Message);
  if (conversation) conversation.run = null;
});
on('thread.removed', (event) => { const gone = here(event.thread); if (gone) { gone.missing = true; gone.run = null; for (const id of gone.nodes.keys()) begun.edits.drop(id); } });
onRenew(() => current.renew());
