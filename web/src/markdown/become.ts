// One DOM becomes another by what differs: a growing paragraph gets words, a growing list an item. Nodes that stay keep their layout,
// their paint and the reader's selection. Words that are added stand in a text node of their own, so that those before them are not painted
// again; `normalize()` joins them once their block is done.

const MOST = 32; // text nodes in a row before they are joined: each costs layout a little

function sameAttributes(old: Element, fresh: Element): boolean {
  if (old.attributes.length !== fresh.attributes.length) return false;
  for (const { name, value } of Array.from(fresh.attributes)) if (old.getAttribute(name) !== value) return false;
  return true;
}

/** Makes the texts in a row that begin with `first` say what `fresh` says; what stands after them. */
function grow(first: Text, fresh: Text): ChildNode | null {
  const row = [first];
  for (let next = first.nextSibling; next instanceof Text; next = next.nextSibling) row.push(next);
  const said = row.map((text) => text.data).join('');
  const after = row.at(-1)?.nextSibling ?? null;
  if (!fresh.data.startsWith(said)) {
    for (const text of row.slice(1)) text.remove();
    first.data = fresh.data;
  } else if (fresh.length > said.length) {
    first.parentNode?.insertBefore(document.createTextNode(fresh.data.slice(said.length)), after);
    if (row.length >= MOST) first.parentNode?.normalize();
  }
  return after;
}

/** Makes `old` equal to `fresh`, taking nodes out of it; false, and nothing done, when they are of another kind. */
export function become(old: Element, fresh: Element): boolean {
  if (old.nodeName !== fresh.nodeName || !sameAttributes(old, fresh)) return false;
  let at = old.firstChild;
  for (const child of Array.from(fresh.childNodes)) {
    if (at instanceof Text && child instanceof Text) { at = grow(at, child); continue; }
    const next: ChildNode | null = at?.nextSibling ?? null;
    if (!at) old.append(child);
    else if (!(at instanceof Element && child instanceof Element && become(at, child))) at.replaceWith(child);
    at = next;
  }
  while (at) {
    const next: ChildNode | null = at.nextSibling;
    at.remove();
    at = next;
  }
  return true;
}
