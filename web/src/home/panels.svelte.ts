// Which panel lies over the room, and wishes that cross components.
class Panels {
  open = $state<'palette' | 'settings' | 'keys' | null>(null);
  focusComposer = $state(0);
  insert = $state<string | null>(null);
  /** A persona that is being written and not saved: it waits while the settings are closed. `seen`: its time when it was read. */
  persona = $state<{ id: string; name: string; text: string; seen: number } | null>(null);
  /** A dialog tells late that it closed: by then another panel may be open, which stays. */
  shut(which: NonNullable<Panels['open']>): void { if (this.open === which) this.open = null; }
}
export const panels = new Panels();
