// How full the memory of a conversation is. Part of the context is kept free for the answer: what was said has the rest, and drops out when that is full.
import type { Context } from '../../wire/types';
import { num, t } from '../../words/index.svelte';

/** `room`: tokens that what was said may take; `kept`: tokens left for the answer; `share`: how much of the room is used, 0 to 1; `into`: tokens of those left that an answer took. */
export function fullness(context: Context): { share: number; room: number; kept: number; into: number } {
  const kept = Math.max(0, Math.min(context.reserve_tokens, context.n_ctx - 1));
  const room = Math.max(1, context.n_ctx - kept);
  return { share: Math.min(1, context.used_tokens / room), room, kept, into: Math.max(0, context.used_tokens - room) };
}

/** The same in words, alike at the gauge and on the slip of an answer. */
export function fullnessTold(context: Context): string {
  const { room, kept, into } = fullness(context);
  return t(kept === 0 ? 'gauge' : into > 0 ? 'gauge.into' : 'gauge.kept', { used: num(context.used_tokens, 0), all: num(room, 0), kept: num(kept, 0), into: num(into, 0) });
}
