// Which panel lies over the room, and wishes that cross components.
class Panels {
  open = $state<'palette' | 'settings' | 'keys' | null>(null);
  focusComposer = $state(0);
  insert = $state<string | null>(null);
}
export const panels = new Panels();
