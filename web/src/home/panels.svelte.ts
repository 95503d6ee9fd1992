// Which panel lies over the room, and wishes that cross components.
import { keep, kept } from '../state/begun.svelte';
import type { Message } from '../wire/types';

/** What is written once and used often, each with a name. */
export type NamedKind = 'persona' | 'phrase';

class Panels {
  open = $state<'palette' | 'settings' | 'keys' | null>(null);
  focusComposer = $state(0);
  /** The list of conversations is put away, for a wide sheet; this browser remembers. */
  listHidden = $state(kept('watra.list') === 'hidden');
  hideList(away: boolean): void { this.listHidden = away; keep('watra.list', away ? 'hidden' : ''); }
  /** The answer whose prompt is looked at, asked for by name. */
  inspected = $state.raw<Message | null>(null);
  insert = $state<string | null>(null);
  /** The page is on its way to paper: all of a conversation is in the document then, not only what is near the window. */
  printing = $state(false);
  /** Of each kind the one whose form is open: its words, if they differ from the saved ones, are a draft (state/begun.svelte.ts). */
  form = $state<Record<NamedKind, string | null>>({ persona: null, phrase: null });
  /** The board of the settings that is to be open; null: the first, or the one where a form is. */
  board = $state<string | null>(null);
  /** The settings at the board of this kind; with an id at its form. */
  openNamed(kind: NamedKind, id: string | null = null): void {
    this.board = kind;
    if (id !== null) this.form[kind] = id;
    this.open = 'settings';
  }
  /** A dialog tells late that it closed: by then another panel may be open, which stays. */
  shut(which: NonNullable<Panels['open']>): void { if (this.open === which) this.open = null; }
}
export const panels = new Panels();
