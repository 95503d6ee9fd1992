import { describe, expect, it } from 'vitest';

import { goesRound } from './round';

describe('an answer that goes round and round', () => {
  const round = (n: number) => Array.from({ length: n }, (_, i) => ['The Elyons said that they could live without a wolf.', 'The Elyons said that he could live without a wolf.', 'Elyon said that he could live without a wolf.'][(i * 7) % 3]).join('\n\n');
  it('is known by its end, whatever came before', () => {
    expect(goesRound(round(30))).toBe(true);
    expect(goesRound(`Once upon a time there was a shepherd. ${round(30)}\n\nThe Ely`)).toBe(true);
    expect(goesRound(`${round(30)} Then the snow came. A dog barked by the gate.  The fire was lit again and nobody said a word until the morning.`)).toBe(false);
  });
  it('is not a refrain, a table, a list of numbers or code', () => {
    expect(goesRound(round(6))).toBe(false);
    expect(goesRound('Jedno zdanie za drugim, a każde inne. '.repeat(3))).toBe(false);
    expect(goesRound('| --- | --- | --- |\n'.repeat(40))).toBe(false);
    expect(goesRound('0.000000000\n'.repeat(60))).toBe(false);
    expect(goesRound('    }\n'.repeat(80))).toBe(false);
    expect(goesRound(Array.from({ length: 60 }, (_, i) => `${i}. Zdanie numer ${i} mówi o ogniu.`).join(' '))).toBe(false);
  });
});
