// What is about to be said: text, attachments, a quoted message. Saved on the server a moment after the last key, per conversation.
import { get, patch, upload } from '../../wire/client';
import type { Draft as WireDraft, Message, Part, Thread } from '../../wire/types';
import { isBlank } from '../../parts/blank';
import { keep, keepHere, kept, keptHere } from '../../state/begun.svelte';
import { on, onRenew } from '../../state/bus';
import { wordsOf } from '../../state/conversation.svelte';
import { attempt, notices } from '../../state/notice.svelte';
import { settings } from '../../state/settings.svelte';
import { threads } from '../../state/threads.svelte';
import { t } from '../../words/index.svelte';
import { plain } from './plain';

type File_ = Extract<Part, { type: 'attachment' | 'image' }>;

export const LONG_PASTE = 4000; // characters; longer pastes become a chip
const TEXT = /^(text\/|application\/(json|xml|x-yaml|toml|javascript))|\.(md|txt|csv|json|ya?ml|toml|xml|html?|css|[jt]sx?|py|cpp|h|hpp|c|rs|go|java|kt|sh|sql|log|tex)$/i;
const isPicture = (file: Blob): boolean => file.type.startsWith('image/');
const isText = (file: Blob, name: string): boolean => TEXT.test(file.type) || TEXT.test(name);

// A conversation that has not begun has no place on the server yet: its words wait in this browser.
// Its files are on the server already; which they are waits here too. So does the message that is quoted, of every conversation.
const UNBEGUN = 'watra.unbegun';
const UNBEGUN_FILES = 'watra.unbegun.files';
const UNBEGUN_PERSONA = 'watra.unbegun.persona';
const NOBODY = '-'; // of a persona: none, by choice
const quoteOf = (thread: string) => `watra.quote.${thread}`;
const beginOf = (thread: string | null) => `watra.begin.${thread ?? 'new'}`; // and the words that the answer is to begin with
function keptFiles(): File_[] {
  try {
    const list = JSON.parse(keptHere(UNBEGUN_FILES) || '[]') as File_[];
    return list.filter((file) => typeof file.hash === 'string' && typeof file.name === 'string');
  } catch { return []; }
}

/** What was taken out to be said, as it was. */
export interface Taken { text: string; files: File_[]; quoted: Message | null; begin: string }
export const partsOf = ({ text, files }: Taken): Part[] => [...files, ...(!isBlank(text) ? [{ type: 'text' as const, text }] : [])];

/** What makes two drafts the same. */
const sign = (text: string, files: readonly { hash?: string }[]): string => (text === '' && files.length === 0 ? '' : JSON.stringify([text, ...files.map((file) => file.hash)]));
const signOf = (saved: WireDraft | null): string => sign(saved?.text ?? '', (saved?.parts ?? []) as File_[]);

class Draft {
  text = $state(keptHere(UNBEGUN));
  files = $state.raw<File_[]>(keptFiles());
  /** Who a conversation that has not begun is to be with: a persona's id, "" for none; null: nobody has chosen, so as the settings say. */
  persona = $state<string | null>(keptHere(UNBEGUN_PERSONA) === NOBODY ? '' : keptHere(UNBEGUN_PERSONA) || null);
  /** Names of files that are on their way to the server. */
  coming = $state.raw<string[]>([]);
  ref = $state.raw<Message | null>(null);
  /** What the answer is to begin with; null: nobody asked for that. */
  begin = $state<string | null>(kept(beginOf(null)) || null);
  /** Where two windows wrote apart: the words that do not stand in the field. `here`: those that were written in this window. */
  second = $state.raw<{ text: string; files: File_[]; here: boolean } | null>(null);
  #thread: string | null = null;
  #agreed: string | null = null; // what field and server last had alike, as the stream tells it in its order; null: not asked yet
  #sent: string | null = null; // what the server has or is about to have
  #sentHere = false; // and whether that is of this window
  #mine: number[] = []; // the times of what this window sent: by them its own echo is known
  #byHand = false; // what stands in the field was written in this window
  #turn: { said: string } | null = null; // an answer was begun here or elsewhere, to these words or to none: the server lets the draft go with it
  #back: string | null = null; // words that could not be said and came back
  #sending: Promise<void> = Promise.resolve(); // what is on its way to the server
  #timer: ReturnType<typeof setTimeout> | undefined;
  #adding = new Set<Promise<boolean>>();
  #placed = 0;
  #places = new Map<string, number>(); // of the files that were given to this window

  /** Moves to another conversation: what was typed here stays here. */
  async open(thread: string | null): Promise<void> {
    if (thread === this.#thread) return;
    void this.save();
    // Of an erased conversation nothing is left but what was being written: that goes where a new one begins, if nothing waits there.
    const homeless = threads.isErased(this.#thread) && keptHere(UNBEGUN) === '' ? this.text : '';
    this.#thread = thread;
    this.ref = this.second = this.#agreed = this.#sent = this.#turn = this.#back = null;
    this.begin = kept(beginOf(thread)) || null;
    this.#byHand = false;
    this.files = thread ? [] : keptFiles();
    this.text = thread ? '' : keptHere(UNBEGUN) || homeless;
    if (!thread) return;
    const quoted = kept(quoteOf(thread));
    const [saved, ref] = await Promise.all([get<{ thread: Thread }>(`/threads/${thread}`).then((a) => a.thread.draft, () => null), quoted ? get<Message>(`/messages/${quoted}`).catch(() => null) : null]);
    if (this.#thread !== thread) return;
    if (ref && !this.ref && ref.state !== 'erased') this.ref = ref;
    this.#agreed ??= '';
    this.#hear(saved, true);
  }
  /** The server tells what it has. A field that is empty, or as it was when both last agreed, follows; words of its own stay, with the others beside them. */
  #hear(saved: WireDraft | null, asked = false): void {
    const now = sign(this.text, this.files);
    const theirs = signOf(saved);
    const echo = !asked && saved !== null && this.#mine.includes(saved.at_ms);
    if (theirs === this.#agreed && theirs !== now) { this.#turn = null; return; } // nothing new
    if (!echo) { this.#sent = theirs; this.#sentHere = false; }
    // With an answer goes the draft that it answers; what was written here and not said, in this window or in another, stays.
    const unsaid = saved === null && this.#turn !== null && this.#byHand && this.text.trim() !== '' && !this.#turn.said.includes(this.text.trim());
    this.#turn = null;
    const free = now === '' || (now === this.#agreed && !unsaid);
    if (echo || theirs === now) {
      this.#agreed = theirs;
      if (!echo && this.second && !this.second.here) this.second = null;
    } else if (free) {
      if (this.second && !this.second.here && sign(this.second.text, this.second.files) === theirs) this.second = null; // it comes into the field
      // Words written here that the others do not go on from are not lost.
      if (this.#byHand && saved && this.text.trim() !== '' && !saved.text.includes(this.text.trim())) this.second = { text: this.text, files: this.files, here: true };
      this.#stand(saved?.text ?? '', (saved?.parts ?? []) as File_[]);
      this.#agreed = theirs;
      this.#byHand = false;
    } else if (saved) this.second = { text: saved.text, files: saved.parts as File_[], here: false };
    else {
      this.#agreed = '';
      this.touched(); // theirs was said or let go: what is written here is the draft
    }
  }
  hear(thread: Thread): void { if (thread.id === this.#thread && this.#agreed !== null) this.#hear(thread.draft); }
  /** An answer to these words has been begun; told before the draft that goes with it. */
  hearTurn(thread: string | null, said: string): void {
    if (thread === null || thread !== this.#thread) return;
    this.#turn = { said };
    if (this.#back === null || said !== this.#back) return;
    // The server had them after all, only its answer was lost: what came back into the field has been said.
    if (this.text === said) { this.take(); this.touched(); }
    this.#back = null;
  }
  async renew(): Promise<void> {
    const thread = this.#thread ? await get<{ thread: Thread }>(`/threads/${this.#thread}`).then((answer) => answer.thread, () => null) : null;
    if (thread) this.hear(thread);
  }
  #stand(text: string, files: File_[]): void { this.text = text; this.files = files; }
  /** The words beside come into the field, and those of the field beside. */
  swap(): void {
    if (!this.second) return;
    const { text, files, here } = this.second;
    this.second = sign(this.text, this.files) === '' ? null : { text: this.text, files: this.files, here: !here };
    this.#stand(text, files);
    this.touched();
  }
  letGo(): void { this.second = null; }
  beWith(persona: string | null): void { this.persona = persona; keepHere(UNBEGUN_PERSONA, persona === '' ? NOBODY : (persona ?? '')); }
  quote(message: Message | null): void {
    this.ref = message;
    if (this.#thread) keep(quoteOf(this.#thread), message?.id ?? '');
  }
  beginWith(words: string | null): void {
    this.begin = words;
    keep(beginOf(this.#thread), words ?? '');
  }
  touched(): void {
    this.#byHand = true;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.save(), 700);
  }
  /** The page goes: the last keys are kept. */
  leave(): void { if (this.#timer !== undefined || (!this.#thread && this.text !== '')) void this.save(); }
  async save(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (!this.#thread) { this.#keepUnbegun(); return; }
    const now = sign(this.text, this.files);
    if (now === (this.#sent ?? '')) return; // nothing that the server has not
    this.#sent = now;
    this.#sentHere = true;
    await this.#send(this.#thread, this.text, this.files);
  }
  /** Before it is said: the server lets go the draft that these words are, so it has them as they are said. Other words that another window keeps there stay. */
  async settle(): Promise<void> {
    const has = this.#sent ? (JSON.parse(this.#sent) as [string])[0].trim() : '';
    if (this.#sent !== '' && (this.#sentHere || this.text.includes(has))) await this.save();
    await this.#sending;
  }
  #keepUnbegun(): void {
    keepHere(UNBEGUN, this.text);
    keepHere(UNBEGUN_FILES, this.files.length > 0 ? JSON.stringify(this.files) : '');
  }
  async #send(thread: string, text: string, files: File_[]): Promise<void> {
    if (threads.isErased(thread)) { keep(quoteOf(thread), ''); keep(beginOf(thread), ''); return; }
    const at_ms = Math.max(Date.now(), (this.#mine.at(-1) ?? 0) + 1);
    this.#mine = [...this.#mine.slice(-50), at_ms];
    const draft: WireDraft | null = text === '' && files.length === 0 ? null : { text, parts: files, at_ms };
    const before = this.#sending;
    await (this.#sending = (async () => {
      await before; // one after the other: the last keys are the last to arrive
      await patch(`/threads/${thread}`, { draft }).catch(() => { if (thread === this.#thread) this.#sent = null; });
    })());
  }
  take(): Taken {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const taken = { text: this.text, files: this.files, quoted: this.ref, begin: this.begin ?? '' };
    this.text = '';
    this.files = [];
    this.#agreed &&= ''; // what the server still has once it is said was written elsewhere: the empty field follows it
    this.quote(null);
    this.beginWith(null);
    if (!this.#thread) this.#keepUnbegun();
    return taken;
  }
  /** It could not be said: all of it is here again, before whatever was written since; or kept for the conversation it belongs to, where another is open by now. */
  putBack(thread: string, { text, files, quoted, begin }: Taken): void {
    if (this.#thread !== thread) {
      if (quoted) keep(quoteOf(thread), quoted.id);
      keep(beginOf(thread), begin);
      void this.#send(thread, text, files);
      return;
    }
    this.#back = text;
    this.text = [text, this.text].filter((words) => words !== '').join('\n\n');
    this.files = [...files, ...this.files.filter((file) => !files.some((other) => other.hash === file.hash))];
    if (!this.ref) this.quote(quoted);
    if (begin !== '') this.beginWith(begin);
    this.touched();
  }
  /** Files that were given together: what none of them can be is told once. */
  addAll(files: readonly File[], vision: boolean): void {
    const unseen = files.filter((file) => isPicture(file) && !vision);
    const kinds = files.filter((file) => !isPicture(file) && !isText(file, file.name));
    if (unseen.length > 0) notices.say(unseen.length > 1 ? t('file.noeyes.many') : t('file.noeyes', { name: unseen[0]!.name }), 'bad');
    if (kinds.length > 0) notices.say(kinds.length > 1 ? t('file.kind.many', { names: kinds.slice(0, 3).map((file) => file.name).join(', ') + (kinds.length > 3 ? '…' : '') }) : t('file.kind', { name: kinds[0]!.name }), 'bad');
    for (const file of files) if (!unseen.includes(file) && !kinds.includes(file)) this.add(file, file.name);
  }
  add(file: Blob, name: string): void {
    const adding = this.#add(file, name);
    this.#adding.add(adding);
    void adding.then(() => this.#adding.delete(adding));
  }
  /** Waits for the files on their way; false when one did not arrive. */
  async arrived(): Promise<boolean> { return (await Promise.all(this.#adding)).every(Boolean); }
  async #add(file: Blob, name: string): Promise<boolean> {
    const image = isPicture(file);
    if (file.size === 0) { notices.say(t('file.nothing', { name }), 'bad'); return true; }
    const thread = this.#thread;
    const place = this.#placed++;
    this.coming = [...this.coming, name];
    // One that cannot be read by now is sent as it is, which says why.
    const read = image ? file : await plain(file, settings.get('look.language', 'pl')).catch(() => file);
    const arrived = read && (await attempt(() => upload<Omit<File_, 'type'>>('/attachments', read, name)));
    const at = this.coming.indexOf(name);
    this.coming = this.coming.filter((_, i) => i !== at);
    if (!read) { notices.say(t('file.kind', { name }), 'bad'); return true; }
    if (!arrived) return false;
    const one = { type: image ? 'image' : 'attachment', ...arrived } as File_;
    this.#places.set(one.hash, place);
    if (this.#thread === thread) { this.files = this.#inOrder([...this.files, one]); this.touched(); }
    else if (thread === null) keepHere(UNBEGUN_FILES, JSON.stringify(this.#inOrder([...keptFiles(), one])));
    else await this.#addElsewhere(thread, one);
    return true;
  }
  /** As they were given, whichever arrived first. */
  #inOrder(files: File_[]): File_[] {
    const place = (file: File_) => this.#places.get(file.hash) ?? -1;
    return files.sort((a, b) => place(a) - place(b));
  }
  /** The file arrived while another conversation was looked at: it waits where it was meant for. */
  async #addElsewhere(thread: string, one: File_): Promise<void> {
    const saved = await get<{ thread: Thread }>(`/threads/${thread}`).then((a) => a.thread.draft, () => undefined);
    if (saved !== undefined) await this.#send(thread, saved?.text ?? '', [...((saved?.parts ?? []) as File_[]), one]);
  }
  drop(hash: string): void { this.files = this.files.filter((file) => file.hash !== hash); this.touched(); }
}
export const draft = new Draft();
let newest: Message | null = null; // of those that were said while the page is open
on('thread.message', (event) => { const message = event.data as unknown as Message; if (message.role === 'user') newest = message; });
on('answer.started', (event) => draft.hearTurn(event.thread, newest && (event.data['message'] as Message).parent === newest.id ? wordsOf(newest) : ''));
on('thread.changed', (event) => draft.hear(event.data as unknown as Thread));
onRenew(() => void draft.renew());
