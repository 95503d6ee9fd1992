// A finger that goes sideways over an answer leafs through its versions: to the left the next one, to the right the one before. Scrolling, whatever
// scrolls sideways by itself, marked words and the edges of the screen, which belong to the system, keep their own.
import { calm } from '../../look/apply';

export type Step = -1 | 1;
export interface Leafing { can: (step: Step) => boolean; go: (step: Step) => void }

const EDGE = 24; // CSS pixels at each side of the screen
const SURE = 12; // so far a finger has gone before it is told where it goes
const FAR = 72; // so far it has to go, or a quarter of a narrow answer

/** Where a finger goes that has come so far; null: nobody can tell yet. */
export function way(dx: number, dy: number): 'across' | 'along' | null {
  if (Math.hypot(dx, dy) < SURE) return null;
  return Math.abs(dx) > 1.7 * Math.abs(dy) ? 'across' : 'along';
}
/** What a finger asks for that was lifted there; null: nothing. */
export const stepOf = (dx: number, width: number): Step | null => (Math.abs(dx) < Math.min(FAR, width / 4) ? null : dx < 0 ? 1 : -1);
/** How far the words go with it: all the way where there is a version, a little where there is none. */
export const follows = (dx: number, can: boolean): number => (can ? dx : Math.sign(dx) * Math.min(20, Math.abs(dx) / 5));

function scrollsItself(from: Element, upTo: Element): boolean {
  for (let at: Element | null = from; at && at !== upTo; at = at.parentElement) {
    if (at.matches('input, textarea, select')) return true;
    if (at.scrollWidth > at.clientWidth + 1 && /auto|scroll/.test(getComputedStyle(at).overflowX)) return true;
  }
  return false;
}

export function swipe(node: HTMLElement, leafing: Leafing): { update: (next: Leafing) => void; destroy: () => void } {
  let start: { x: number; y: number } | null = null;
  let across = false;
  let dx = 0;
  function rest() {
    if (across && !calm()) {
      node.style.transition = 'transform var(--panel) var(--ease)';
      node.addEventListener('transitionend', () => { node.style.transition = ''; }, { once: true });
    }
    node.style.transform = '';
    start = null;
    across = false;
  }
  function down(event: TouchEvent) {
    const [finger] = event.touches;
    if (start) rest(); // a second finger: that is another gesture
    if (event.touches.length !== 1 || !finger || finger.clientX < EDGE || finger.clientX > innerWidth - EDGE) return;
    if (!(leafing.can(-1) || leafing.can(1)) || getSelection()?.isCollapsed === false || scrollsItself(event.target as Element, node)) return;
    start = { x: finger.clientX, y: finger.clientY };
    dx = 0;
  }
  function move(event: TouchEvent) {
    const [finger] = event.touches;
    if (!start || !finger) return;
    dx = finger.clientX - start.x;
    const goes = across ? 'across' : way(dx, finger.clientY - start.y);
    if (goes === 'along' || !event.cancelable) { rest(); return; }
    if (goes === null) return;
    across = true;
    event.preventDefault();
    if (!calm()) node.style.transform = `translateX(${follows(dx, leafing.can(dx < 0 ? 1 : -1))}px)`;
  }
  function up() {
    const step = across ? stepOf(dx, node.clientWidth) : null;
    rest();
    if (step !== null && leafing.can(step)) leafing.go(step);
  }
  node.addEventListener('touchstart', down, { passive: true });
  node.addEventListener('touchmove', move, { passive: false });
  node.addEventListener('touchend', up);
  node.addEventListener('touchcancel', rest);
  return {
    update: (next) => { leafing = next; },
    destroy: () => {
      node.removeEventListener('touchstart', down);
      node.removeEventListener('touchmove', move);
      node.removeEventListener('touchend', up);
      node.removeEventListener('touchcancel', rest);
    },
  };
}
