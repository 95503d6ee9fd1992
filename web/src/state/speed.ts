// What may be expected of a model here: the plan without drafts, the plan with those the house would use, what was measured.
import type { Estimate } from '../wire/types';

/** What drafts make of the speed, where it is another one: less than three in a hundred is not said. */
export function withDrafts(estimate: Estimate | null): number | null {
  const rate = estimate?.with_drafts?.decode_tokens_per_s;
  return estimate && rate && Math.abs(rate / estimate.decode_tokens_per_s - 1) >= 0.03 ? rate : null;
}

/** What is planned, with drafts where the house would use them; 0 where nobody knows. */
export const planned = (estimate: Estimate | null | undefined): number => estimate?.with_drafts?.decode_tokens_per_s ?? estimate?.decode_tokens_per_s ?? 0;

/** In one figure; 0 where nobody knows. */
export const expected = (estimate: Estimate | null | undefined): number => estimate?.measured_tokens_per_s ?? planned(estimate);
