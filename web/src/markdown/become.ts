// One DOM becomes another by what differs: a growing paragraph gets letters, a growing list an item. Nodes that stay keep their layout,
// their paint and the reader's selection.

function sameAttributes(old: Element, fresh: Element): boolean {
  if (old.attributes.length !== fresh.attributes.length) return false;
  for (const { name, value } of Array.from(fresh.attributes)) if (old.getAttribute(name) !== value) return false;
  return true;
}

/** Makes `old` equal to `fresh`, taking nodes out of it; false, and nothing done, when they are of another kind. */
export function become(old: Node, fresh: Node): boolean {
  if (old.nodeName !== fresh.nodeName) return false;
  if (old instanceof Text && fresh instanceof Text) {
    if (fresh.data.startsWith(old.data)) { if (fresh.length > old.length) old.appendData(fresh.data.slice(old.length)); } else old.data = fresh.data;
    return true;
  }
  if (!(old instanceof Element) || !(fresh instanceof Element) || !sameAttributes(old, fresh)) return false;
  const wanted = Array.from(fresh.childNodes);
  wanted.forEach((child, i) => {
    const there = old.childNodes[i];
    if (!there) old.append(child);
    else if (!become(there, child)) there.replaceWith(child);
  });
  while (old.childNodes.length > wanted.length) old.lastChild?.remove();
  return true;
}
