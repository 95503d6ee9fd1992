// Numbers of the settings that mean something else than how many: in a field and in what is told of an answer they stand in words.
import { num, t, type Key } from '../words/index.svelte';

export interface Rest { at: number; words: string }

const RESTS: Record<string, [number, Key]> = { max_tokens: [-1, 'rest.unlimited'], seed: [-1, 'rest.random'], repeat_last_n: [-1, 'rest.all'], top_k: [0, 'rest.off'] };

/** For a setting's key, with its group or without: the number from which down it rests, and what it says then. */
export function restOf(key: string): Rest | undefined {
  const known = RESTS[key.replace('sampling.', '')];
  return known && { at: known[0], words: t(known[1]) };
}

/** A value as it is told beside the setting's name. */
export function told(key: string, value: unknown): string {
  if (typeof value !== 'number') return String(value);
  const rest = restOf(key);
  return rest && value <= rest.at ? rest.words : num(value, 3);
}
