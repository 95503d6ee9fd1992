// Small models sometimes say the same few sentences until their memory is full. Looked for in the end of the text alone, so that it costs the
// same however long an answer is.
const TAIL = 2400; // characters looked at
const SENTENCES = 14; // so many in a row …
const DIFFERENT = 3; // … of which no more than so many differ
const SHORTEST = 10; // characters of a sentence that counts: lists of numbers and rules of tables are no talk

/** Whether the text goes round and round at its end. */
export function goesRound(text: string): boolean {
  if (text.length < SENTENCES * SHORTEST) return false;
  const parts = text.slice(-TAIL).split(/[.!?…\n]+/).map((part) => part.trim().toLowerCase()).filter((part) => part !== '');
  parts.pop(); // the last may be unfinished
  const end = parts.slice(-SENTENCES);
  return end.length === SENTENCES && end.every((part) => part.length >= SHORTEST && /\p{L}{2}/u.test(part)) && new Set(end).size <= DIFFERENT;
}
