import { expect, it } from 'vitest';

import type { Message, Part } from '../../wire/types';
import { stateOf } from './column';

const answer = (state: Message['state'], ...parts: Part[]) => ({ state, parts }) as unknown as Message;

it('a column speaks once it has words', () => {
  expect(stateOf('queued', undefined, undefined)).toBe('queued');
  expect(stateOf('speaking', answer('running'), undefined)).toBe('reading');
  expect(stateOf('speaking', answer('running'), 'queued')).toBe('queued');
  expect(stateOf('speaking', answer('running'), 'loading')).toBe('loading');
  expect(stateOf('reading', answer('running', { type: 'text', text: '' }), 'speaking')).toBe('reading');
  expect(stateOf('reading', answer('running', { type: 'reasoning', text: 'Hm', seconds: null }), 'reading')).toBe('thinking');
  expect(stateOf('reading', answer('running', { type: 'text', text: 'Ja' }), 'reading')).toBe('speaking');
  expect(stateOf('done', answer('done', { type: 'text', text: 'Ja' }), 'speaking')).toBe('done');
  expect(stateOf('stopped', answer('stopped'), 'reading')).toBe('stopped');
});
