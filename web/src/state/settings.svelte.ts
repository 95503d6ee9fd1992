// The settings' values, changed one at a time; the look is applied here, by attributes and CSSOM, never by style attributes in markup.
import { applyLook, keepLook, recallLook, themeOf, wornTokens, type CustomTheme, type Theme } from '../look/apply';
import { isIllegible } from '../look/contrast';
import { clientId, get, patch } from '../wire/client';
import type { Persona, Phrase, Preset, Sampling, Schema } from '../wire/types';
import { inWords, num, words } from '../words/index.svelte';
import type { Language } from '../words/format';
import { begun } from './begun.svelte';
import { on } from './bus';
import { Kept } from './kept.svelte';
import { attempt, fields } from './notice.svelte';

class Settings {
  values = $state<Record<string, unknown>>({});
  schema = $state.raw<Schema | null>(null);
  readonly kept = { personas: new Kept<Persona>('persona', 'personas'), presets: new Kept<Preset>('preset', 'presets'), phrases: new Kept<Phrase>('phrase', 'phrases') };
  get presets(): Preset[] { return this.kept.presets.all; }
  get personas(): Persona[] { return this.kept.personas.all; }
  /** The palette in which what leads back is drawn, where colours of one's own cannot be read. */
  safe = $state<Theme | undefined>();
  /** How often a theme was put on: whoever makes one of their own begins anew. */
  worn = $state(0);
  /** The newest change of each key that has no answer yet. */
  #wished = new Map<string, object>();
  #hour: ReturnType<typeof setInterval> | undefined;

  /** Before the values are here the page looks as the server wrote it, and speaks the language the server wrote. */
  begin(): void {
    recallLook();
    words.language = this.#tongue(document.documentElement.lang);
  }
  take(values: Record<string, unknown>): void {
    this.values = { ...this.values, ...values };
    this.show();
    keepLook(this.values);
    this.#hour ??= setInterval(() => this.show(), 60_000);
  }
  show(): void {
    words.language = this.#tongue(this.values['look.language'] ?? navigator.language.slice(0, 2));
    applyLook(this.values);
    this.safe = this.values['look.custom_theme'] && isIllegible(wornTokens()) ? themeOf(this.values) : undefined;
  }
  #tongue(wish: unknown): Language { return (new URLSearchParams(location.search).get('lang') ?? wish) === 'pl' ? 'pl' : 'en'; }
  get<T>(key: string, fallback: T): T { return (this.values[key] as T | null | undefined) ?? fallback; }

  /** A language that somebody chose counts from then on, whatever the address asks for. */
  #leaveAddress(keys: string[]): void {
    const asked = new URL(location.href);
    if (!keys.includes('look.language') || !asked.searchParams.has('lang')) return;
    asked.searchParams.delete('lang');
    history.replaceState(history.state, '', asked);
  }
  async set(key: string, value: unknown): Promise<void> {
    this.#leaveAddress([key]);
    const before = this.values[key];
    const mine = {};
    this.#wished.set(key, mine);
    this.take({ [key]: value ?? this.initial(key) ?? null });
    const answer = await attempt(() => patch<{ values: Record<string, unknown> }>('/settings', { [key]: value }));
    // An answer holds all values as they stood then: it speaks for this key alone, and only while nothing newer was wished.
    if (this.#wished.get(key) !== mine) return;
    this.#wished.delete(key);
    this.take({ [key]: answer ? answer.values[key] : before });
  }
  /** What another page or device changed; what is being changed here waits for its own answer. */
  hear(values: Record<string, unknown>): void {
    this.#leaveAddress(Object.keys(values));
    this.take(Object.fromEntries(Object.entries(values).filter(([key]) => !this.#wished.has(key))));
  }
  async need(): Promise<void> {
    if (this.schema) return;
    const [schema] = await Promise.all([get<Schema>('/settings/schema'), ...Object.values(this.kept).map((kept) => kept.need())]);
    this.schema = schema;
  }
  keepPreset(name: string, sampling: Sampling): Promise<boolean> { return this.kept.presets.keep(clientId(), { name: { pl: name, en: name }, sampling }); }
  /** A theme, at once and lasting: neither colours of one's own nor the hour of the day hide it. */
  wear(theme: string): void {
    this.worn++;
    this.takeOff();
    if (this.values['look.follow_hour']) void this.set('look.follow_hour', false);
    void this.set('look.theme', theme);
  }
  /** Colours of one's own that are about to be taken off wait in this browser: beside another of the same name under a name with a number. */
  layAside(): void {
    const own = this.values['look.custom_theme'] as CustomTheme | null | undefined;
    if (!own) return;
    const lies = (name: string) => begun.themes.all[name];
    let name = own.name;
    for (let n = 2; lies(name) && JSON.stringify(lies(name)!.tokens) !== JSON.stringify(own.tokens); n++) name = `${own.name} ${n}`;
    begun.themes.write(name, { ...own, name });
  }
  takeOff(): void {
    this.layAside();
    if (this.values['look.custom_theme']) void this.set('look.custom_theme', null);
  }
  wearOwn(theme: CustomTheme): void {
    this.worn++;
    begun.themes.drop(theme.name);
    this.layAside();
    void this.set('look.custom_theme', theme);
  }
  initial(key: string): unknown { return this.schema?.settings.find((s) => s.key === key)?.default; }
  /** How answers are made where a conversation says nothing: what differs from the defaults. */
  get sampling(): Sampling {
    const differs = Object.entries(this.values).filter(([key, value]) => key.startsWith('sampling.') && value !== null && JSON.stringify(value) !== JSON.stringify(this.initial(key)));
    return Object.fromEntries(differs.map(([key, value]) => [key.slice(9), value as number]));
  }
  /** All of it anew: what is not named goes back to its default. */
  speak(next: Sampling): void {
    const now = this.sampling;
    for (const key of new Set([...Object.keys(now), ...Object.keys(next)])) {
      const wish = next[key] ?? this.initial(`sampling.${key}`);
      if (JSON.stringify(wish) !== JSON.stringify(this.values[`sampling.${key}`])) void this.set(`sampling.${key}`, next[key] ?? null);
    }
  }
}
export const settings = new Settings();
fields.range = (param) => {
  const one = settings.schema?.settings.find((setting) => setting.key === param || setting.key === `sampling.${param}`);
  return one?.min === undefined || one.max === undefined ? null : { name: inWords(one.name), from: num(one.min, 2), to: num(one.max, 2) };
};
on('engine.settings', (event) => settings.hear(event.data['values'] as Record<string, unknown>));
