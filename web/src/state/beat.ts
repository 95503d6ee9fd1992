// The beat of the stream. What comes while an answer is written is handed on together, in one task, so that the page is laid out and painted
// once for all of it: words at every beat, figures (rates, what is left, what was read) no oftener than somebody can read them. Whatever
// changes more than a figure (a state, an end, a message) is handed on at once, after all that came before it.
import { cardDraws } from '../look/card';
import type { WatraEvent } from '../wire/types';

export interface Pace {
  words_ms: number;
  figures_ms: number; // figures that would be due before the next words come with these
  gather_ms: number; // what the server is asked to gather: a little longer than words_ms, so that what comes is shown as it comes; 0: nothing
}

/** Where the processor draws, two or three pictures a second: measured in docs/measurements.md, "The page open beside the page closed". */
const PACES: Record<'card' | 'processor', Pace> = { card: { words_ms: 33, figures_ms: 33, gather_ms: 0 }, processor: { words_ms: 350, figures_ms: 1300, gather_ms: 400 } };
export const paceHere = (): Pace => PACES[cardDraws() ? 'card' : 'processor'];

export class Beat {
  #words: WatraEvent[] = [];
  #figures = new Map<string, WatraEvent>(); // of each kind and message only the newest counts
  #states = new Map<string, unknown>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #due = Infinity; // when the timer is set for
  #wordsAt = -Infinity;
  #figuresAt = -Infinity;

  constructor(private readonly hand: (event: WatraEvent) => void, private readonly pace: () => Pace = paceHere) {}

  take(event: WatraEvent): void {
    const key = `${event.type} ${event.node ?? ''}`;
    if (event.type === 'answer.piece') this.#words.push(event);
    else if ((event.type === 'answer.progress' || event.type === 'hearth.state') && this.#states.get(key) === event.data['state']) this.#figures.set(key, event);
    else {
      if (event.type === 'answer.ended') this.#states.delete(`answer.progress ${event.node ?? ''}`);
      else if (event.type === 'answer.progress' || event.type === 'hearth.state') this.#states.set(key, event.data['state']);
      this.#handWords();
      this.#handFigures();
      this.hand(event);
      return;
    }
    this.#plan();
  }

  // Between two frames, not in one: the frame then has only to lay out and to paint. A page that nobody sees takes its words too.
  #plan(): void {
    const { words_ms, figures_ms } = this.pace();
    const due = this.#words.length > 0 ? this.#wordsAt + words_ms : this.#figures.size > 0 ? this.#figuresAt + figures_ms : Infinity;
    if (due >= this.#due) return;
    clearTimeout(this.#timer);
    this.#due = due;
    this.#timer = setTimeout(() => { this.#beat(); }, Math.max(0, due - performance.now()));
  }
  #beat(): void {
    this.#due = Infinity;
    const { words_ms, figures_ms } = this.pace();
    const early = this.#words.length > 0 ? words_ms : 0;
    this.#handWords();
    if (performance.now() >= this.#figuresAt + figures_ms - early) this.#handFigures();
    this.#plan();
  }
  #handWords(): void {
    if (this.#words.length === 0) return;
    this.#wordsAt = performance.now();
    for (const event of this.#words.splice(0)) this.hand(event);
  }
  #handFigures(): void {
    if (this.#figures.size === 0) return;
    this.#figuresAt = performance.now();
    const newest = [...this.#figures.values()];
    this.#figures.clear();
    for (const event of newest) this.hand(event);
  }
}
