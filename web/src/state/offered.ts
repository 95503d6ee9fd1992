// The models that the first start offers, and in which order.
import type { Language } from '../words/format';
import type { Model } from '../wire/types';

/** Whether it takes no download to sit with it. */
export const isHere = (model: Model): boolean => ['ready', 'loading', 'loaded'].includes(model.state);

const SPEAKS = { good: 4, some: 3, unknown: 2, little: 1, none: 0 };

/** Those that can talk: first what is on the disk; for whoever reads Polish, among equals those first who speak it. A file that cannot be read
    stands on the shelf, with its reason. */
export const offered = (models: Model[], language: Language): Model[] => models.filter((m) => m.chat && !m.encoder && m.state !== 'broken')
  .sort((a, b) => Number(isHere(b)) - Number(isHere(a)) || (language === 'pl' ? SPEAKS[b.languages.pl] - SPEAKS[a.languages.pl] : 0));
