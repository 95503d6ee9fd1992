// Formulas are set, or stay as they were written: none goes so deep that laying it out could end the page.
import { describe, expect, it } from 'vitest';

import { typeset } from './maths';

function set(tex: string): Element {
  const element = document.createElement('span');
  element.className = 'maths';
  element.setAttribute('data-tex', tex);
  element.textContent = tex;
  typeset(element);
  return element;
}
const nested = (open: string, n: number, close = '}') => open.repeat(n) + 'x' + close.repeat(n);

describe('typeset', () => {
  it('sets what people write', () => {
    for (const tex of ['\\frac{a}{b}', nested('\\frac{1}{1+', 8), nested('\\sqrt{', 12), nested('x^{', 10), '\\begin{pmatrix}1 & 2\\\\3 & 4\\end{pmatrix}']) {
      const element = set(tex);
      expect(element.classList.contains('broken'), tex).toBe(false);
      expect(element.querySelector('.katex')).not.toBeNull();
    }
  });
  it('shows what it refuses in the colour that the theme has for it, not in one of its own', () => {
    const element = set('\\href{javascript:alert(1)}{x}');
    const coloured = Array.from(element.querySelectorAll<HTMLElement>('.katex-html [style*="color"]'), (one) => one.style.color);
    expect(coloured.length).toBeGreaterThan(0);
    expect(new Set(coloured)).toEqual(new Set(['var(--danger)']));
    expect(element.innerHTML).not.toMatch(/#cc0000|204, 0, 0/i);
    expect(element.querySelector('[href]')).toBeNull();
  });
  it('leaves as it is what cannot be read, or what goes too deep', () => {
    for (const tex of ['\\frac{a', '\\nieznane', nested('\\frac{1}{', 60), nested('\\sqrt{', 120), nested('x^{', 300)]) {
      const element = set(tex);
      expect(element.classList.contains('broken'), tex.slice(0, 20)).toBe(true);
      expect(element.textContent).toBe(tex);
      expect(element.children.length).toBe(0);
    }
  });
});
