import { describe, expect, it } from 'vitest';

import type { Model } from '../wire/types';
import { isHere, offered } from './offered';

const model = (id: string, state: Model['state'], pl: Model['languages']['pl'], more: Partial<Model> = {}) => ({ id, state, chat: true, encoder: false, languages: { pl }, ...more }) as Model;

describe('what the first start offers', () => {
  const all = [model('far', 'absent', 'good'), model('coming', 'downloading', 'good'), model('near', 'ready', 'none'), model('lit', 'loaded', 'good'), model('searcher', 'ready', 'good', { encoder: true }), model('base', 'ready', 'good', { chat: false }), model('hurt', 'broken', 'good')];
  it('has first what is on the disk, then by the language', () => {
    expect(offered(all, 'pl').map((m) => m.id)).toEqual(['lit', 'near', 'far', 'coming']);
    expect(offered(all, 'en').map((m) => m.id)).toEqual(['near', 'lit', 'far', 'coming']);
  });
  it('knows what has to be fetched first', () => {
    expect(all.filter((m) => !isHere(m)).map((m) => m.id)).toEqual(['far', 'coming', 'hurt']);
    expect(isHere(model('hurt', 'broken', 'good'))).toBe(false);
  });
});
