import type { Conversation } from '../../state/conversation.svelte';
import type { Message } from '../../wire/types';

/** Shows the version `step` beside this one where it stands in the window. `swept`: a finger asked for it. */
export function leafFrom(row: Element, conversation: Conversation, message: Message, step: number, swept = false): void {
  const all = conversation.siblings(message);
  const next = all[all.indexOf(message.id) + step];
  if (!next) return;
  const { top, bottom } = row.getBoundingClientRect();
  conversation.flipped = { id: next, step, top, bottom, swept };
  conversation.show(next);
}
