// The planner's offers in plain words: it names them by what one would write on its command line.
import type { Estimate } from '../../wire/types';
import { t } from '../../words/index.svelte';

/** As it came, where there are no words for it. */
export function adviceWords(offer: Estimate['advice'][number]): string {
  const option = offer.option ?? offer.change;
  const value = (name: string) => new RegExp(`--${name} (\\S+)`).exec(option)?.[1];
  const quant = value('quant');
  const draft = value('draft');
  const threads = value('threads');
  if (quant) return draft ? t('advice.quant.draft', { name: quant }) : t('advice.quant', { name: quant });
  if (draft) return draft === 'ngram' ? t('advice.ngram') : draft === 'self' ? t('advice.self') : t('advice.draft', { name: draft });
  if (value('kv-type')) return t('advice.kv');
  if (value('disk')) return t('advice.disk');
  if (threads) return t('advice.threads', { name: threads });
  return /memory/.test(option) ? t('advice.ram') : offer.change;
}
