// What is about to be said: text, attachments, a quoted message. Saved on the server a moment after the last key, per conversation.
import { get, patch, upload } from '../../wire/client';
import type { Draft as WireDraft, Message, Part, Thread } from '../../wire/types';
import { attempt, notices } from '../../state/notice.svelte';
import { t } from '../../words/index.svelte';

type File_ = Extract<Part, { type: 'attachment' | 'image' }>;

export const LONG_PASTE = 4000; // characters; longer pastes become a chip
const TEXT = /^(text\/|application\/(json|xml|x-yaml|toml|javascript))|\.(md|txt|csv|json|ya?ml|toml|xml|html?|css|[jt]sx?|py|cpp|h|hpp|c|rs|go|java|kt|sh|sql|log|tex)$/i;

// A conversation that has not begun has no place on the server yet: its words wait in this browser.
const UNBEGUN = 'watra.unbegun';
const unbegun = {
  get text(): string { try { return localStorage.getItem(UNBEGUN) ?? ''; } catch { return ''; } },
  set text(text: string) { try { if (text === '') localStorage.removeItem(UNBEGUN); else localStorage.setItem(UNBEGUN, text); } catch { /* a browser that keeps nothing */ } },
};

class Draft {
  text = $state(unbegun.text);
  files = $state.raw<File_[]>([]);
  /** Names of files that are on their way to the server. */
  coming = $state.raw<string[]>([]);
  ref = $state.raw<Message | null>(null);
  #thread: string | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #adding = new Set<Promise<boolean>>();

  /** Moves to another conversation: what was typed here stays here. */
  async open(thread: string | null): Promise<void> {
    if (thread === this.#thread) return;
    void this.save();
    this.#thread = thread;
    this.ref = null;
    this.files = [];
    this.text = thread ? '' : unbegun.text;
    if (!thread) return;
    const saved = await get<{ thread: Thread }>(`/threads/${thread}`).then((a) => a.thread.draft, () => null);
    if (!saved || this.#thread !== thread || this.text !== '' || this.files.length > 0) return; // somebody types already
    this.text = saved.text;
    this.files = saved.parts as File_[];
  }
  touched(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.save(), 700);
  }
  async save(): Promise<void> {
    clearTimeout(this.#timer);
    if (!this.#thread) { unbegun.text = this.text; return; }
    const draft: WireDraft | null = this.text === '' && this.files.length === 0 ? null : { text: this.text, parts: this.files, at_ms: Date.now() };
    await patch(`/threads/${this.#thread}`, { draft }).catch(() => undefined);
  }
  take(): { parts: Part[]; ref: string | null } {
    clearTimeout(this.#timer);
    const parts: Part[] = [...this.files];
    if (this.text.trim() !== '') parts.push({ type: 'text', text: this.text });
    const ref = this.ref?.id ?? null;
    this.text = '';
    this.files = [];
    this.ref = null;
    if (!this.#thread) unbegun.text = '';
    return { parts, ref };
  }
  add(file: Blob, name: string, vision: boolean): void {
    const adding = this.#add(file, name, vision);
    this.#adding.add(adding);
    void adding.then(() => this.#adding.delete(adding));
  }
  /** Waits for the files on their way; false when one did not arrive. */
  async arrived(): Promise<boolean> { return (await Promise.all(this.#adding)).every(Boolean); }
  async #add(file: Blob, name: string, vision: boolean): Promise<boolean> {
    const image = file.type.startsWith('image/');
    if (image && !vision) { notices.say(t('file.noeyes', { name }), 'bad'); return true; }
    if (!image && !TEXT.test(file.type) && !TEXT.test(name)) { notices.say(t('file.kind', { name }), 'bad'); return true; }
    const thread = this.#thread;
    this.coming = [...this.coming, name];
    const kept = await attempt(() => upload<Omit<File_, 'type'>>('/attachments', file, name));
    const at = this.coming.indexOf(name);
    this.coming = this.coming.filter((_, i) => i !== at);
    if (!kept) return false;
    if (this.#thread === thread) { this.files = [...this.files, { type: image ? 'image' : 'attachment', ...kept } as File_]; this.touched(); }
    return true;
  }
  drop(hash: string): void { this.files = this.files.filter((file) => file.hash !== hash); this.touched(); }
}
export const draft = new Draft();
