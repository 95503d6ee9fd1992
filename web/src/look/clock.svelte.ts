// The time it is, for what depends on the hour: greetings, what "today" is, the light over the mantel. Whoever asks is drawn anew when another hour
// has come, in whatever way: the page stayed open over night, the machine slept, its clock was set forwards or back.
const LOOK_MS = 60_000;
const thisHour = (): number => new Date().setMinutes(0, 0, 0);

class Clock {
  #hour = $state(thisHour());

  /** From now on it is looked at every minute, and whenever the page is looked at again. */
  begin(): void {
    const look = () => { this.#hour = thisHour(); };
    setInterval(look, LOOK_MS);
    document.addEventListener('visibilitychange', look);
    addEventListener('focus', look);
  }
  get now(): Date {
    void this.#hour;
    return new Date();
  }
}
export const clock = new Clock();
