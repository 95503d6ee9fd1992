// One of a row takes part in the tabbing; the arrows, Home and End go along the row, and what they reach is chosen, as in a set of tabs or of radio buttons.
export function rove(row: HTMLElement, role: 'tab' | 'radio'): { destroy: () => void } {
  function key(event: KeyboardEvent) {
    const all = [...row.querySelectorAll<HTMLElement>(`[role=${role}]:not(:disabled)`)];
    const at = all.indexOf(document.activeElement as HTMLElement);
    if (at < 0 || event.ctrlKey || event.altKey || event.metaKey) return;
    const steps: Record<string, number> = { ArrowRight: at + 1, ArrowDown: at + 1, ArrowLeft: at - 1, ArrowUp: at - 1, Home: 0, End: -1 };
    const to = steps[event.key];
    if (to === undefined) return;
    event.preventDefault();
    const next = all.at(to % all.length);
    next?.focus();
    next?.click();
  }
  row.addEventListener('keydown', key);
  return { destroy: () => row.removeEventListener('keydown', key) };
}
