import type { Message, RunState } from '../../wire/types';

const BEFORE_WORDS: readonly (RunState | undefined)[] = ['queued', 'loading', 'reading', 'thinking'];

/** What a column does: it speaks once there are words; until then it waits, reads or thinks, as its run says. */
export function stateOf(state: RunState, answer: Message | undefined, run: RunState | undefined): RunState {
  if (answer?.state !== 'running') return state;
  const has = (type: 'text' | 'reasoning') => answer.parts.some((part) => part.type === type && part.text.trim() !== '');
  if (has('text')) return 'speaking';
  if (has('reasoning')) return 'thinking';
  return [run, state].find((one) => BEFORE_WORDS.includes(one)) ?? 'reading';
}
