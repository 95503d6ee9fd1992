import { expect, test } from 'vitest';
import { en } from '../../words/en';
import { pl } from '../../words/pl';
import { grouped, groupOf, groups } from './memory';

test('the tags of the program come in few words, summed, in one order', () => {
  const row = (tag: string, bytes: number) => ({ tier: 'ram' as const, tag, bytes });
  const rows = [row('kv store', 1), row('activations', 2), row('weights', 30), row('norms and biases', 4), row('kernel scratch', 5), row('kv cache', 6), row("draft's vocabulary and lists", 7), row('draft index', 8), row('something new', 9)];
  expect(grouped(rows)).toEqual([
    { group: 'weights', bytes: 34 }, { group: 'kv', bytes: 6 }, { group: 'pages', bytes: 1 }, { group: 'draft', bytes: 15 }, { group: 'scratch', bytes: 7 }, { group: 'other', bytes: 9 },
  ]);
  expect(groupOf('exact keys and values')).toBe('kv');
});

test('every group has its words', () => {
  for (const group of groups) for (const words of [en, pl]) expect(words[`tag.${group}`]).toBeTruthy();
});
