// What happens to a block once it stands: code is highlighted, maths is set, both by modules that are fetched at first need.
import { copyText } from '../parts/copy';
import { t } from '../words/index.svelte';

function copyButton(code: Element): HTMLButtonElement {
  const button = document.createElement('button');
  button.type = 'button';
  button.className = 'copy';
  button.textContent = t('code.copy');
  button.onclick = () => {
    copyText(code.textContent ?? '');
    button.textContent = t('code.copied');
    setTimeout(() => { button.textContent = t('code.copy'); }, 1600);
  };
  return button;
}

export function settle(element: Element): void {
  const codes = element.matches('.code') ? [element] : Array.from(element.querySelectorAll('.code'));
  for (const block of codes) {
    const code = block.querySelector('code');
    if (!code || block.querySelector('.bar')) continue;
    const lang = block.getAttribute('data-lang') ?? '';
    const bar = document.createElement('div');
    bar.className = 'bar';
    const name = document.createElement('span');
    name.textContent = lang;
    bar.append(name, copyButton(code));
    block.prepend(bar);
    if (lang !== '') void import('./highlight').then(({ highlight }) => highlight(code, lang));
  }
  // A task's box is named by nobody: its words stand beside it.
  for (const box of element.querySelectorAll<HTMLInputElement>('input[type=checkbox]')) box.setAttribute('aria-label', t(box.checked ? 'task.done' : 'task.open'));
  const maths = element.matches('.maths') ? [element] : Array.from(element.querySelectorAll('.maths'));
  if (maths.length > 0) void import('./maths').then(({ typeset }) => maths.forEach(typeset));
}
