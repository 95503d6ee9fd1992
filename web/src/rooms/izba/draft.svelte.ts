// What is about to be said: text, attachments, a quoted message. Saved on the server a moment after the last key, per conversation.
import { get, patch, upload } from '../../wire/client';
import type { Draft as WireDraft, Message, Part, Thread } from '../../wire/types';
import { attempt, notices } from '../../state/notice.svelte';
import { t } from '../../words/index.svelte';

type File_ = Extract<Part, { type: 'attachment' | 'image' }>;

export const LONG_PASTE = 4000; // characters; longer pastes become a chip
const TEXT = /^(text\/|application\/(json|xml|x-yaml|toml|javascript))|\.(md|txt|csv|json|ya?ml|toml|xml|html?|css|[jt]sx?|py|cpp|h|hpp|c|rs|go|java|kt|sh|sql|log|tex)$/i;

class Draft {
  text = $state('');
  files = $state.raw<File_[]>([]);
  ref = $state.raw<Message | null>(null);
  #thread: string | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** Moves to another conversation: what was typed here stays here. */
  async open(thread: string | null): Promise<void> {
    if (thread === this.#thread) return;
    await this.save();
    const carry = this.#thread === null && thread !== null ? this.text : '';
    this.#thread = thread;
    this.ref = null;
    if (!thread) { this.text = ''; this.files = []; return; }
    const saved = await get<{ thread: Thread }>(`/threads/${thread}`).then((a) => a.thread.draft, () => null);
    if (this.#thread !== thread) return;
    if (this.text === '' || carry === '') { this.text = carry || (saved?.text ?? ''); this.files = (saved?.parts ?? []) as File_[]; }
  }
  touched(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.save(), 700);
  }
  async save(): Promise<void> {
    clearTimeout(this.#timer);
    if (!this.#thread) return;
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
    return { parts, ref };
  }
  async add(file: Blob, name: string, vision: boolean): Promise<void> {
    const image = file.type.startsWith('image/');
    if (image && !vision) { notices.say(t('file.noeyes'), 'bad'); return; }
    if (!image && !TEXT.test(file.type) && !TEXT.test(name)) { notices.say(t('file.kind', { name }), 'bad'); return; }
    const kept = await attempt(() => upload<Omit<File_, 'type'>>('/attachments', file, name));
    if (kept) this.files = [...this.files, { type: image ? 'image' : 'attachment', ...kept } as File_];
    this.touched();
  }
  drop(hash: string): void { this.files = this.files.filter((file) => file.hash !== hash); this.touched(); }
}
export const draft = new Draft();
