// What can be done with the open conversation and with its last answer, by name: the palette offers it, the sheet of keys lists it.
import Eye from '@lucide/svelte/icons/eye';
import ChevronLeft from '@lucide/svelte/icons/chevron-left';
import ChevronRight from '@lucide/svelte/icons/chevron-right';
import FileDown from '@lucide/svelte/icons/file-down';
import GitFork from '@lucide/svelte/icons/git-fork';
import Pencil from '@lucide/svelte/icons/pencil';
import Pin from '@lucide/svelte/icons/pin';
import Quote from '@lucide/svelte/icons/quote';
import RotateCcw from '@lucide/svelte/icons/rotate-ccw';
import Square from '@lucide/svelte/icons/square';
import StepForward from '@lucide/svelte/icons/step-forward';
import TextCursorInput from '@lucide/svelte/icons/text-cursor-input';
import Volume2 from '@lucide/svelte/icons/volume-2';
import VolumeX from '@lucide/svelte/icons/volume-x';
import type { Component } from 'svelte';

import { panels } from '../../home/panels.svelte';
import { download } from '../../parts/copy';
import { wordsOf, type Conversation } from '../../state/conversation.svelte';
import { attempt, notices } from '../../state/notice.svelte';
import { route } from '../../state/route.svelte';
import { threads } from '../../state/threads.svelte';
import { text } from '../../wire/client';
import type { Message, Thread } from '../../wire/types';
import { t, type Key } from '../../words/index.svelte';
import { draft } from './draft.svelte';
import { canGoOn } from './full';
import { isRead, readAloud, silence } from './voice.svelte';

export async function saveAs(thread: Thread, format: 'md' | 'json'): Promise<void> {
  const body = await attempt(() => text(`/threads/${thread.id}/export?format=${format}`));
  if (body !== undefined) download(`${thread.title.slice(0, 60) || 'watra'}.${format}`, body);
}
export async function forkAt(conversation: Conversation, message: Message): Promise<void> {
  const thread = await conversation.fork(message);
  if (thread) { route.go('izba', thread.id); notices.say(t('forked')); }
}

export interface Act { id: string; title: Key; icon: Component; keys?: string; /** The other name of the one before: the sheet lists it once. */ other?: boolean; can: boolean; run: () => void }

/** The last answer that has ended. */
export const lastOf = (c: Conversation): Message | undefined => c.path.findLast(({ message }) => message.role === 'assistant' && message.state !== 'running' && message.state !== 'erased')?.message;

/** All there are; `can`: whether it can be done now. Without a conversation nothing can. */
export function acts(c: Conversation | null): Act[] {
  const last = c && lastOf(c);
  const thread = c?.thread;
  const free = c !== null && !c.busy;
  const ended = last !== undefined && last !== null;
  const beside = c && last ? c.siblings(last) : [];
  const at = last ? beside.indexOf(last.id) : -1;
  const pinned = thread?.pinned === true;
  const read = ended && isRead(last.id);
  const withLast = (run: (c: Conversation, last: Message) => void) => () => { if (c && last) run(c, last); };
  return [
    { id: 'stop', title: 'stop', icon: Square, keys: 'Esc', can: c?.run != null, run: () => void c?.stop() },
    { id: 'quote', title: 'quote', icon: Quote, can: ended, run: withLast((_, message) => { draft.quote(message); panels.focusComposer++; }) },
    { id: 'again', title: 'again', icon: RotateCcw, keys: 'Ctrl Enter', can: free && ended, run: withLast((of, message) => void of.again(message)) },
    { id: 'edit', title: 'acts.edit', icon: Pencil, keys: 'Shift ↑', can: free && ended, run: withLast((of, message) => { of.startEdit(message); }) },
    { id: 'goon', title: 'goon', icon: StepForward, keys: 'Ctrl Shift Enter', can: free && ended && canGoOn(last), run: withLast((of, message) => void of.goOn(message)) },
    { id: 'begin', title: 'begin.act', icon: TextCursorInput, can: c !== null && !c.missing && draft.begin === null, run: () => { setTimeout(() => { draft.beginWith(''); }); } },
    { id: 'previous', title: 'version.previous', icon: ChevronLeft, keys: '←', can: free && at > 0, run: withLast((of, message) => of.leaf(message, -1)) },
    { id: 'next', title: 'version.next', icon: ChevronRight, keys: '→', can: free && at >= 0 && at < beside.length - 1, run: withLast((of, message) => of.leaf(message, 1)) },
    { id: 'prompt', title: 'prompt.title', icon: Eye, can: ended && last.answer !== null, run: withLast((_, message) => { setTimeout(() => { panels.inspected = message; }); }) },
    { id: 'fork', title: 'fork', icon: GitFork, can: ended, run: withLast((of, message) => void forkAt(of, message)) },
    { id: 'speak', title: 'speak', icon: Volume2, can: ended && !read, run: withLast((_, message) => readAloud(message.id, wordsOf(message))) },
    { id: 'silence', title: 'speak.stop', icon: VolumeX, other: true, can: read, run: silence },
    { id: 'pin', title: 'acts.pin', icon: Pin, can: thread !== undefined && !pinned, run: () => { if (thread) void threads.change(thread.id, { pinned: true }); } },
    { id: 'unpin', title: 'acts.unpin', icon: Pin, other: true, can: pinned, run: () => { if (thread) void threads.change(thread.id, { pinned: false }); } },
    { id: 'pin-answer', title: 'acts.pin.answer', icon: Pin, can: ended && !last.pinned, run: withLast((of, message) => void of.pin(message)) },
    { id: 'unpin-answer', title: 'acts.unpin.answer', icon: Pin, other: true, can: ended && last.pinned, run: withLast((of, message) => void of.pin(message)) },
    { id: 'md', title: 'export.md', icon: FileDown, can: thread !== undefined, run: () => { if (thread) void saveAs(thread, 'md'); } },
    { id: 'json', title: 'export.json', icon: FileDown, can: thread !== undefined, run: () => { if (thread) void saveAs(thread, 'json'); } },
  ];
}
