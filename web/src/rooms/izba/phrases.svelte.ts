// Choosing among the words kept ready: a stroke at the start of the draft opens the list, what follows it narrows it, a choice puts the words in.
import { panels } from '../../home/panels.svelte';
import { settings } from '../../state/settings.svelte';
import type { Phrase } from '../../wire/types';
import { draft } from './draft.svelte';
import { asked, blanksOf, filled, found } from './phrase';

class Choosing {
  /** The row that Enter takes. */
  at = $state(0);
  /** Chosen, with blanks that are being asked for. */
  filling = $state.raw<{ phrase: Phrase; blanks: string[] } | null>(null);
  #away = $state(false); // closed by hand
  typed = $derived(asked(draft.text));
  list = $derived(this.typed === null ? [] : found(settings.kept.phrases.all, this.typed));
  /** Below the words stands the way to where they are written, as long as none is looked for. */
  rows = $derived(this.list.length + (this.typed === '' ? 1 : 0));
  open = $derived(!this.#away && this.filling === null && this.rows > 0);

  /** After each key in the field. */
  look(): void {
    this.at = 0;
    if (this.typed === '' || this.typed === null) this.#away = false;
    if (this.typed !== null) this.need();
  }
  need(): void { void settings.kept.phrases.need().catch(() => undefined); }
  /** Whether the key was for the list. */
  key(event: KeyboardEvent): boolean {
    if (!this.open || event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return false;
    if (event.key === 'ArrowDown' || event.key === 'ArrowUp') this.at = (this.at + (event.key === 'ArrowDown' ? 1 : -1) + this.rows) % this.rows;
    else if (event.key === 'Enter') this.take(this.at);
    else if (event.key === 'Escape') this.#away = true;
    else return false;
    event.preventDefault();
    return true;
  }
  take(row: number): void {
    const phrase = this.list[row];
    if (phrase) { this.choose(phrase); return; }
    this.#put('');
    panels.openNamed('phrase');
  }
  choose(phrase: Phrase): void {
    const blanks = blanksOf(phrase.text);
    if (blanks.length > 0) this.filling = { phrase, blanks };
    else this.#put(phrase.text);
  }
  fill(values: Record<string, string>): void {
    const text = this.filling?.phrase.text;
    this.filling = null;
    if (text !== undefined) this.#put(filled(text, values));
  }
  leave(): void { this.filling = null; panels.focusComposer++; }
  /** In place of what was looked for; words that stand in the field already stay above. */
  #put(text: string): void {
    const before = this.typed === null ? draft.text.trimEnd() : '';
    draft.text = before === '' ? text : `${before}\n\n${text}`;
    draft.touched();
    this.at = 0;
    panels.focusComposer++;
  }
}
export const choosing = new Choosing();
