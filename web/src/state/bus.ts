// Who listens to which event. Stores register at import; the house store feeds the stream in.
import type { WatraEvent } from '../wire/types';

type Handler = (event: WatraEvent) => void;
const handlers = new Map<string, Handler[]>();
const renewals: (() => void)[] = [];

export function on(type: string, handler: Handler): void {
  handlers.set(type, [...(handlers.get(type) ?? []), handler]);
}
export function dispatch(event: WatraEvent): void {
  for (const handler of handlers.get(event.type) ?? []) handler(event);
}
/** Called when the stream could not resume: ask for your state anew. */
export function onRenew(renew: () => void): void { renewals.push(renew); }
export function renewAll(): void { for (const renew of renewals) renew(); }
