// What was begun and not saved: a persona, a name for ready-made settings, a question to several models, a message being edited, a theme that
// was taken off. Each waits in this browser under a key of its own, so that two tabs write over nothing, until it is saved or let go. What is
// said in a conversation that exists waits on the server instead (izba/draft.svelte.ts).
import type { CustomTheme } from '../look/apply';

export const keep = (key: string, value: string): void => { try { if (value === '') localStorage.removeItem(key); else localStorage.setItem(key, value); } catch { /* a browser that keeps nothing */ } };
export const kept = (key: string): string => { try { return localStorage.getItem(key) ?? ''; } catch { return ''; } };

/** What is begun in one tab, over a reload of it; a new tab takes up what was begun last, and what one lets go stays with the others. */
export const keepHere = (key: string, value: string): void => {
  const mine = keptHere(key);
  try { sessionStorage.setItem(key, value); } catch { /* a browser that keeps nothing */ }
  if (value !== '' || kept(key) === mine) keep(key, value);
};
export const keptHere = (key: string): string => {
  try {
    const here = sessionStorage.getItem(key);
    if (here !== null) return here;
    sessionStorage.setItem(key, kept(key));
  } catch { /* a browser that keeps nothing */ }
  return kept(key);
};

export class Begun<T extends object> {
  all = $state.raw<Record<string, T>>({});
  readonly #prefix: string;

  /** `reads`: what is kept is believed only where this says that it has the shape. */
  constructor(kind: string, private readonly reads: (value: Record<string, unknown>) => boolean) {
    this.#prefix = `watra.begun.${kind}.`;
    let keys: string[] = [];
    try { keys = Object.keys(localStorage); } catch { /* none */ }
    for (const key of keys) this.#hear(key, kept(key));
    window.addEventListener('storage', (event) => { if (event.key) this.#hear(event.key, event.newValue ?? ''); });
  }
  #hear(key: string, value: string): void {
    if (!key.startsWith(this.#prefix)) return;
    const { [key.slice(this.#prefix.length)]: _old, ...rest } = this.all;
    this.all = rest;
    try {
      const read = JSON.parse(value || 'null') as Record<string, unknown> | null;
      if (read && this.reads(read)) this.all = { ...rest, [key.slice(this.#prefix.length)]: read as T };
    } catch { /* not ours */ }
  }
  write(id: string, value: T): void { this.all = { ...this.all, [id]: value }; keep(this.#prefix + id, JSON.stringify(value)); }
  drop(id: string): void {
    if (!(id in this.all)) return;
    const { [id]: _gone, ...rest } = this.all;
    this.all = rest;
    keep(this.#prefix + id, '');
  }
}

const words = (...names: string[]) => (value: Record<string, unknown>) => names.every((name) => typeof value[name] === 'string');

export interface NamedDraft { name: string; text: string; seen: number }
export interface AskDraft { question: string; system: string; blind: boolean; columns: { model: string; persona: string }[] }
const named = (value: Record<string, unknown>) => words('name', 'text')(value) && typeof value['seen'] === 'number';
export const begun = {
  /** By the persona's id, its own or the one it will have. `seen`: the time of what was edited, 0 for a new one. */
  personas: new Begun<NamedDraft>('persona', named),
  /** By the id of the words kept ready, likewise. */
  phrases: new Begun<NamedDraft>('phrase', named),
  /** A name for ready-made settings, by the place where they are set: a conversation's id or `house`. */
  presets: new Begun<{ name: string }>('preset', words('name')),
  /** The one question to several models. */
  asks: new Begun<AskDraft>('ask', (a) => words('question', 'system')(a) && typeof a['blind'] === 'boolean' && Array.isArray(a['columns']) && a['columns'].every(words('model', 'persona'))),
  /** An answer from elsewhere, by the comparison it goes to. */
  pasted: new Begun<{ name: string; text: string }>('pasted', words('name', 'text')),
  /** By the message that is edited; `open`: nobody has closed the field. */
  edits: new Begun<{ text: string; open: boolean }>('edit', words('text')),
  /** Themes of one's own that were taken off, by name. */
  themes: new Begun<CustomTheme>('theme', (theme) => words('name', 'base')(theme) && typeof theme['tokens'] === 'object' && theme['tokens'] !== null),
};
