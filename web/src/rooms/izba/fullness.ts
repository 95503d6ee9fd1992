// How full the memory of a conversation is. Part of the context is kept free for the answer: what was said has the rest, and drops out when that is full.
import type { Context } from '../../wire/types';

/** `room`: tokens that what was said may take; `kept`: tokens left for the answer; `share`: how much of the room is used, 0 to 1. */
export function fullness(context: Context): { share: number; room: number; kept: number } {
  const kept = Math.min(context.reserve_tokens, context.n_ctx - 1);
  const room = context.n_ctx - kept;
  return { share: Math.min(1, context.used_tokens / room), room, kept };
}
