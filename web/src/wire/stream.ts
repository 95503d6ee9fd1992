// The one event stream. Keeps the number of the last event seen, comes back with growing pauses after a loss, says when the server
// could not resume (then state must be asked for anew) and when it cannot be reached.
import { BASE } from './client';
import type { WatraEvent } from './types';

export interface Listener {
  event(event: WatraEvent): void;
  hello(resumed: boolean): void;
  reachable(yes: boolean): void;
}

export class Stream {
  #source: EventSource | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #pause = 500;
  #after: number;
  #boot: string | null = null;

  /** `gather_ms`: the server may hold words and figures back for so long, to tell more of them at once. */
  constructor(after: number, private readonly listener: Listener, private readonly gather_ms = 0) { this.#after = after; }

  get seq(): number { return this.#after; }

  open(): void {
    this.close();
    const source = new EventSource(`${BASE}/events?after=${this.#after}${this.gather_ms > 0 ? `&gather_ms=${this.gather_ms}` : ''}`);
    this.#source = source;
    source.onopen = () => { this.#pause = 500; this.listener.reachable(true); };
    source.onmessage = (message) => this.#take(JSON.parse(message.data as string) as WatraEvent);
    source.onerror = () => {
      if (this.#source !== source) return;
      source.close();
      this.listener.reachable(false);
      this.#timer = setTimeout(() => this.open(), this.#pause);
      this.#pause = Math.min(this.#pause * 2, 8000);
    };
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#source?.close();
    this.#source = null;
  }

  #take(event: WatraEvent): void {
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
