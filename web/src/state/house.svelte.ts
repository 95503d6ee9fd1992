// Coming in, the event stream, the engine and the hearth. The hearth shows what the server says; only `unreachable` is our own word.
import { get, getSoon, door, post, Refusal } from '../wire/client';
import { Stream } from '../wire/stream';
import type { Engine, Hearth, House } from '../wire/types';
import { Beat, paceHere } from './beat';
import { dispatch, on, renewAll } from './bus';
import { notices } from './notice.svelte';
import { entry } from './route.svelte';
import { settings } from './settings.svelte';
import { t } from '../words/index.svelte';

export type Phase = 'opening' | 'door' | 'welcome' | 'home';

/** Whatever may have cut or mended the way to the server. */
function watchTheWay(look: () => void): true {
  addEventListener('online', look);
  addEventListener('offline', look);
  document.addEventListener('visibilitychange', () => { if (document.visibilityState === 'visible') look(); });
  return true;
}

class HouseStore {
  phase = $state<Phase>('opening');
  reachable = $state(true);
  version = $state('');
  door = $state({ lan: false, tls: false, password: false });
  engine = $state<Engine>({ state: 'empty', model: null, n_ctx: null, vision: false });
  hearth = $state.raw<Hearth>({ state: 'asleep', progress: null, rate: null });
  spoken = $state(0);
  #stream: Stream | null = null;
  #look: true | null = null;
  #beat = new Beat((event) => { if (event.type === 'answer.piece') this.spoken++; dispatch(event); });

  async enter(): Promise<void> {
    door.closed = (password) => { this.door.password = password; this.phase = 'door'; this.#stream?.close(); };
    entry.came = (code) => void this.#with(code);
    if (entry.code) await this.#with(entry.code);
    else await this.open();
  }
  /** Comes in with the code of an address; who is in already stays where he is. */
  async #with(code: string): Promise<void> {
    const taken = await post('/session', { code }).then(() => true, () => false);
    if (this.phase === 'opening' || this.phase === 'door') await this.open();
    if (!taken && this.#shut()) notices.say(t('door.used'), 'bad');
  }
  #shut(): boolean { return this.phase === 'door'; } // asked anew: it changes meanwhile

  async open(): Promise<void> {
    let house: House;
    try {
      house = await get<House>('/house');
    } catch (error) {
      if (error instanceof Refusal && error.status === 401) return;
      this.reachable = false;
      setTimeout(() => void this.open(), 1500);
      return;
    }
    this.reachable = true;
    this.version = house.version;
    this.door = house.door;
    this.engine = house.engine;
    settings.take(house.settings);
    this.#listen(house.as_of);
    this.phase = house.first_start ? 'welcome' : 'home';
  }

  #listen(after: number): void {
    this.#stream?.close();
    this.#stream = new Stream(after, {
      event: (event) => this.#beat.take(event),
      hello: (resumed) => { if (!resumed) { void this.#renew(); } },
      // A stream that ends may have ended with its session: who asks is told, and stands at the door.
      reachable: (yes) => { this.reachable = yes; if (!yes) void getSoon('/session').catch(() => undefined); },
      newest: () => getSoon<House>('/house').then((answer) => answer.as_of, (error: unknown) => (error instanceof Refusal && error.status !== 0 ? 0 : null)),
    }, paceHere().gather_ms);
    this.#stream.open();
    this.#look ??= watchTheWay(() => { if (this.phase !== 'door') this.#stream?.look(); });
  }
  async #renew(): Promise<void> {
    const house = await get<House>('/house').catch(() => null);
    if (house) { this.engine = house.engine; settings.take(house.settings); }
    renewAll();
  }
}
export const house = new HouseStore();
on('engine.state', (event) => { house.engine = event.data as unknown as Engine; });
on('hearth.state', (event) => { house.hearth = event.data as unknown as Hearth; });
