// What memory is spent on, in the few words a person asks for: the program counts by finer tags.
import type { MemoryRow } from '../../wire/types';

export const groups = ['weights', 'kv', 'pages', 'draft', 'ring', 'scratch', 'program', 'store', 'other'] as const;
export type Group = (typeof groups)[number];

export function groupOf(tag: string): Group {
  if (tag === 'weights' || tag === 'norms and biases' || tag === 'rotations') return 'weights';
  if (tag.includes('draft')) return 'draft';
  if (tag === 'kv' || tag === 'kv cache' || tag === 'exact keys and values') return 'kv';
  if (tag === 'pages' || tag === 'kv store') return 'pages';
  if (tag === 'disk ring') return 'ring';
  if (tag === 'program and vocabulary') return 'program';
  if (tag === 'store') return 'store';
  return /scratch|activations|partials/.test(tag) ? 'scratch' : 'other';
}

/** Rows of one place, summed by group, in the order in which people ask. */
export function grouped(rows: MemoryRow[]): { group: Group; bytes: number }[] {
  const sums = new Map<Group, number>();
  for (const row of rows) sums.set(groupOf(row.tag), (sums.get(groupOf(row.tag)) ?? 0) + row.bytes);
  return groups.flatMap((group) => (sums.get(group) ? [{ group, bytes: sums.get(group)! }] : []));
}
