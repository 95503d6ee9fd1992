// The one event stream. Keeps the number of the last event seen, comes back with growing pauses after a loss, says when the server
// could not resume (then state must be asked for anew) and when it cannot be reached. A connection that dies without a word looks like a
// house where nothing happens (the server's pings are comments, which no page hears): after a silence the server is asked.
import { BASE } from './client';
import type { WatraEvent } from './types';

export interface Listener {
  event(event: WatraEvent): void;
  hello(resumed: boolean): void;
  reachable(yes: boolean): void;
  /** The number of the newest event there is; null: no answer in time. */
  newest(): Promise<number | null>;
}

const QUIET_MS = 20_000; // a silence that makes one ask: where nothing goes on,
const BUSY_MS = 5000; // where something is told every moment,
const OPENING_MS = 10_000; // and of a connection that has not come about
const LATE_MS = 3000; // so late nothing comes that is on its way

export class Stream {
  #source: EventSource | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #watch: ReturnType<typeof setTimeout> | undefined;
  #pause = 500;
  #after: number;
  #top = 0; // the highest number told of, states that move nothing among them
  #busy = false;
  #boot: string | null = null;

  /** `gather_ms`: the server may hold words and figures back for so long, to tell more of them at once. */
  constructor(after: number, private readonly listener: Listener, private readonly gather_ms = 0) { this.#after = after; }

  get seq(): number { return this.#after; }

  open(): void {
    this.close();
    const source = new EventSource(`${BASE}/events?after=${this.#after}${this.gather_ms > 0 ? `&gather_ms=${this.gather_ms}` : ''}`);
    this.#source = source;
    source.onopen = () => { this.#pause = 500; this.#heard(); this.listener.reachable(true); };
    source.onmessage = (message) => this.#take(JSON.parse(message.data as string) as WatraEvent);
    source.onerror = () => this.#lose(source);
    this.#watch = setTimeout(() => this.#lose(source), OPENING_MS);
  }
  #lose(source: EventSource | null): void {
    if (this.#source !== source || !source) return;
    clearTimeout(this.#watch);
    source.close();
    this.#source = null;
    this.listener.reachable(false);
    this.#timer = setTimeout(() => this.open(), this.#pause);
    this.#pause = Math.min(this.#pause * 2, 8000);
  }

  close(): void {
    clearTimeout(this.#timer);
    clearTimeout(this.#watch);
    this.#source?.close();
    this.#source = null;
  }

  /** Something happened to the way there (a network came or went, the page was looked at again): it is asked now, and a pause is over. */
  look(): void {
    if (this.#source) { clearTimeout(this.#watch); void this.#ask(this.#source); }
    else if (this.#timer !== undefined) this.open();
  }
  #heard(): void {
    clearTimeout(this.#watch);
    this.#watch = setTimeout(() => void this.#ask(this.#source), this.#busy ? BUSY_MS : QUIET_MS);
  }
  async #ask(source: EventSource | null): Promise<void> {
    const newest = await this.listener.newest();
    if (this.#source !== source) return;
    if (newest === null) { this.#lose(source); return; }
    clearTimeout(this.#watch);
    if (newest > this.#top) this.#watch = setTimeout(() => { if (newest > this.#top) this.#lose(source); else this.#heard(); }, LATE_MS);
    else this.#heard();
  }

  #take(event: WatraEvent): void {
    this.#top = Math.max(this.#top, event.seq);
    if (event.type === 'hearth.state') this.#busy = !['asleep', 'idle', 'error'].includes(String(event.data['state']));
    this.#heard();
    if (event.type === 'engine.hello') {
      const { boot, resumed } = event.data as { boot: string; resumed: boolean };
      const again = this.#boot !== null && (!resumed || boot !== this.#boot);
      this.#boot = boot;
      if (!resumed) this.#after = event.seq;
      this.listener.hello(!again);
      return;
    }
    // The first one of a connection carries the newest number while older events are still to come: it moves nothing.
    if (event.type !== 'hearth.state') {
      if (event.seq <= this.#after) return;
      this.#after = event.seq;
    }
    this.listener.event(event);
  }
}
