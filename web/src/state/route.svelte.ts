// Hash routes: #/room/thing. The fragment #enter=CODE is taken out of the address at once, whenever it comes.
class Route {
  room = $state('izba');
  thing = $state<string | null>(null);
  at = $state<string | null>(null);
  /** Grows with every wish to be somewhere: the same one twice is two. */
  asked = $state(0);
  #read: string | null = null;

  constructor() {
    addEventListener('hashchange', () => this.read());
    this.read();
  }
  read(): void {
    const code = takeEntryCode(this.#read ?? '');
    if (code) { entry.came(code); return; }
    if (location.hash !== this.#read) this.asked++;
    this.#read = location.hash;
    const [path = '', query = ''] = location.hash.replace(/^#\/?/, '').split('?');
    const [room, thing] = path.split('/');
    this.room = room || 'izba';
    this.thing = thing ? idOf(thing) : null;
    this.at = new URLSearchParams(query).get('m');
  }
  go(room: string, thing: string | null = null, at: string | null = null): void {
    const hash = `#/${room}${thing ? '/' + encodeURIComponent(thing) : ''}${at ? '?m=' + encodeURIComponent(at) : ''}`;
    if (location.hash === hash) { this.asked++; return; }
    location.hash = hash;
    this.read();
  }
}
/** What cannot be the id of anything (an address that was cut or mistyped) is asked for under a name that nothing has. */
const idOf = (thing: string): string => (/^[\w-]{1,80}$/.test(thing) ? thing : '-');
/** The code of `watra serve --open`, if the address carries one; it is removed from the address, which is again what it was `before`. */
function takeEntryCode(before = ''): string | null {
  const code = /^#enter=(.+)$/.exec(location.hash)?.[1] ?? null;
  if (code) history.replaceState(null, '', location.pathname + location.search + before);
  return code;
}
/** The code the page was opened with, and who is told of one that comes later, in a tab that is open already. */
export const entry: { code: string | null; came: (code: string) => void } = { code: takeEntryCode(), came: () => undefined };
export const route = new Route();
