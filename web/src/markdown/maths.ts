// Maths through katex.render, which sets styles by CSSOM (strings with style attributes would be stopped by the CSP). Fetched lazily.
import 'katex/dist/katex.min.css';

import katex from 'katex';

/** How many elements may stand within each other. Layout goes down into each with the browser's own stack: a model that opens one fraction in another for ever would take the page with it. */
const DEEPEST = 250;

function isDeep(within: Node): boolean {
  let depth = 0;
  for (let at: Node | null = within.firstChild; at; ) {
    if (at.firstChild) {
      at = at.firstChild;
      if (++depth > DEEPEST) return true;
      continue;
    }
    while (at && !at.nextSibling) { at = at.parentNode === within ? null : at.parentNode; depth--; }
    at = at?.nextSibling ?? null;
  }
  return false;
}

export function typeset(element: Element): void {
  const tex = element.getAttribute('data-tex');
  if (tex === null) return;
  try {
    const set = document.createElement('span');
    katex.render(tex, set, { displayMode: element.classList.contains('block'), throwOnError: true, errorColor: 'var(--danger)', output: 'htmlAndMathml', trust: false, maxExpand: 200 });
    if (isDeep(set)) throw new Error('too deep');
    element.replaceChildren(...Array.from(set.childNodes));
  } catch {
    element.classList.add('broken'); // the source stays as it is
  }
}
