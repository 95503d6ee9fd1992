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
  announce(key: Key): void { this.polite = t(key); }
  /** What was told is told: the regions keep no words of a language that is not spoken any more. */
  hush(): void { this.polite = this.urgent = ''; }
  drop(id: number): void { this.list = this.list.filter((n) => n.id !== id); }
}
export const notices = new Notices();

/** Codes that mean the same to a person as another one. */
const SAME: Record<string, string> = {
  'model_not_found': 'model.unknown', 'model_is_encoder': 'model.is_encoder', 'context_length_exceeded': 'context.too_long', 'context.overflow': 'context.too_long', 'out_of_memory': 'engine.out_of_memory', 'job.no_memory': 'engine.out_of_memory',
  'memory.over_budget': 'engine.no_room', 'memory.too_small': 'engine.no_room', 'memory.refused': 'engine.no_room', 'plan.no_fit': 'engine.no_room', 'stopping': 'server.stopping', 'job.stopping': 'server.stopping',
  'model_put_away': 'model.changed', 'model_changed': 'model.changed', 'model_not_loaded': 'engine.empty', 'model.not_loaded': 'engine.empty', 'hub.no_space': 'disk.full', 'hub.timeout': 'hub.unreachable', 'hub.proxy': 'hub.unreachable', 'hub.cut': 'hub.unreachable',
  'hub.busy_server': 'hub.rate_limited', 'hub.no_file': 'hub.not_found', 'hub.unknown_name': 'hub.not_found', 'hub.unknown_model': 'hub.not_found', 'hub.bad_reference': 'hub.not_found', 'hub.bad_url': 'hub.not_found', 'hub.denied': 'hub.gated', 'hub.changed': 'hub.checksum',
  'model.safetensors': 'checkpoint', 'model.bad_vocab': 'checkpoint', 'model.missing_tensor': 'checkpoint', 'model.bad_hparams': 'checkpoint', 'model.wrong_shape': 'checkpoint', 'model.absent': 'hub.incomplete', 'model.broken': 'checkpoint',
};

/** Of a value that cannot be taken: which field it is and what it takes, where somebody knows. */
export const fields: { range: (param: string) => { name: string; from: string; to: string } | null } = { range: () => null };

/** What went wrong, in the words of the page: by the code, else by its family (`hub.tls` is of `hub`). */
export function errorText(error: unknown): string {
  const code = error instanceof Refusal ? error.code : (error as { code?: string } | null)?.code;
  const param = code === 'request.invalid' ? (error instanceof Refusal ? error.error : (error as { param?: string })).param : null;
  const range = param ? fields.range(param) : null;
  if (range) return t('error.range', range);
  const key = [SAME[code ?? ''] ?? code, code?.split('.')[0]].map((name) => `error.${name}` as Key).find((name) => name in pl);
  return t(key ?? 'error.other', { code: code ?? String(error) });
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
