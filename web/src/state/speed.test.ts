import { expect, test } from 'vitest';

import type { Estimate } from '../wire/types';
import { expected, planned, withDrafts } from './speed';

const estimate = (rate: number, drafted: number | null, measured: number | null = null) =>
  ({ decode_tokens_per_s: rate, with_drafts: drafted === null ? null : { decode_tokens_per_s: drafted, tau: 2, draft: 'ngram' }, measured_tokens_per_s: measured }) as Estimate;

test('the speed with drafts is said where it is another one', () => {
  expect(withDrafts(estimate(1.9, 5.3))).toBe(5.3);
  expect(withDrafts(estimate(1.9, 1.7))).toBe(1.7);
  expect(withDrafts(estimate(10, 10.2))).toBeNull();
  expect(withDrafts(estimate(10, null))).toBeNull();
  expect(withDrafts(null)).toBeNull();
});

test('what was measured goes before what was planned, drafts before none', () => {
  expect(expected(estimate(1.9, 5.3, 4.8))).toBe(4.8);
  expect(expected(estimate(1.9, 5.3))).toBe(5.3);
  expect(expected(estimate(1.9, null))).toBe(1.9);
  expect(expected(null)).toBe(0);
});

test('what is planned is not what was measured', () => {
  expect(planned(estimate(1.9, 5.3, 4.8))).toBe(5.3);
  expect(planned(estimate(1.9, null, 4.8))).toBe(1.9);
  expect(planned(null)).toBe(0);
});
