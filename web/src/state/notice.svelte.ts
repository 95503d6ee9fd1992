// Short notices for the eye and, through two live regions, for the ear.
import { Refusal } from '../wire/client';
import { t, type Key } from '../words/index.svelte';
import { pl } from '../words/pl';

export interface Notice { id: number; text: string; kind: 'plain' | 'bad'; act?: { label: string; run: () => void } }

class Notices {
  list = $state<Notice[]>([]);
  polite = $state('');
  urgent = $state('');
  #next = 1;

  say(text: string, kind: Notice['kind'] = 'plain', act?: Notice['act']): void {
    const id = this.#next++;
    this.list.push({ id, text, kind, ...(act ? { act } : {}) });
    if (kind === 'bad') this.urgent = text; else this.polite = text;
    setTimeout(() => this.drop(id), kind === 'bad' ? 9000 : 5000);
  }
  announce(text: string): void { this.polite = text; }
  drop(id: number): void { this.list = this.list.filter((n) => n.id !== id); }
}
export const notices = new Notices();

/** What went wrong, in the words of the page. */
export function errorText(error: unknown): string {
  const code = error instanceof Refusal ? error.code : (error as { code?: string } | null)?.code;
  const key = `error.${code}` as Key;
  if (code && key in pl) return t(key, { hint: error instanceof Refusal ? (error.error.hint ?? '') : '' });
  return t('error.other', { code: code ?? String(error) });
}

/** Runs it; a refusal becomes a notice. */
export async function attempt<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof Refusal && error.code === 'session.needed')) notices.say(errorText(error), 'bad');
    return undefined;
  }
}
