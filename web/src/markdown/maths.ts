// Maths through katex.render, which sets styles by CSSOM (strings with style attributes would be stopped by the CSP). Fetched lazily.
import 'katex/dist/katex.min.css';

import katex from 'katex';

export function typeset(element: Element): void {
  const tex = element.getAttribute('data-tex');
  if (tex === null) return;
  try {
    katex.render(tex, element as HTMLElement, { displayMode: element.classList.contains('block'), throwOnError: true, output: 'htmlAndMathml', trust: false, maxExpand: 200 });
  } catch {
    element.classList.add('broken'); // the source stays as it is
  }
}
