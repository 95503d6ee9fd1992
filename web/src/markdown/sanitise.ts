// What the model wrote becomes DOM only through here: no styles, no remote pictures, no script; classes only the renderer's own. Links open elsewhere.
import DOMPurify from 'dompurify';

const TAGS = ['p', 'span', 'div', 'pre', 'code', 'em', 'strong', 'del', 'a', 'ul', 'ol', 'li', 'blockquote', 'h1', 'h2', 'h3', 'h4', 'h5', 'h6', 'hr', 'br', 'table', 'thead', 'tbody', 'tr', 'th', 'td', 'input'];
const ATTRIBUTES = ['href', 'title', 'class', 'data-lang', 'data-tex', 'start', 'type', 'checked', 'disabled', 'tabindex'];

DOMPurify.addHook('afterSanitizeAttributes', (node) => {
  if (node.tagName === 'A') {
    node.setAttribute('target', '_blank');
    node.setAttribute('rel', 'noopener noreferrer');
  }
});

// One object for all calls: DOMPurify reads a configuration anew when it is another object.
const RULES = { ALLOWED_TAGS: TAGS, ALLOWED_ATTR: ATTRIBUTES, ALLOWED_URI_REGEXP: /^(?:https?|mailto):/i, RETURN_DOM_FRAGMENT: true } as const;

export function clean(source: string): Element[] {
  return Array.from(DOMPurify.sanitize(source, RULES as unknown as { RETURN_DOM_FRAGMENT: true }).children);
}
