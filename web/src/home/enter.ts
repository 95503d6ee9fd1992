// Into a room, where one was in it: the living room opens at the conversation that was left there.
import { current } from '../state/conversation.svelte';
import { route } from '../state/route.svelte';

/** What is shown of a room when one comes into it; null: its beginning. */
export const leftThere = (room: string): string | null => (room === 'izba' && route.room !== 'izba' ? (current.open?.id ?? null) : null);
export const enter = (room: string): void => route.go(room, leftThere(room));
