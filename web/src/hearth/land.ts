// The land outside the window as paths: peaks with a lit and a shaded side and snow in their gullies, spruces in tiers. Made from numbers and a
// seed once, the same at every visit; colours belong to whoever draws them.
type Point = [number, number];

const near = (seed: number) => { const s = Math.sin(seed * 127.1) * 43758.5453; return s - Math.floor(s); };
const put = (points: Point[]) => points.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join('L');

/** From a to b in n pieces, off the straight line by up to `jag`. */
function edge(a: Point, b: Point, n: number, jag: number, seed: number): Point[] {
  return Array.from({ length: n + 1 }, (_, i): Point => {
    const t = i / n;
    const off = i === 0 || i === n ? 0 : (near(seed + i * 3.7) - 0.5) * 2 * jag;
    return [a[0] + (b[0] - a[0]) * t + off * 0.6, a[1] + (b[1] - a[1]) * t + off];
  });
}

export interface Peak { body: string; lit: string; snowLit: string; snowShade: string }

/** One mountain: its top and its two feet. `snow` is how far down the snow lies, 0 to 1. */
export function peak(top: Point, left: Point, right: Point, snow: number, seed: number): Peak {
  const height = Math.max(left[1], right[1]) - top[1];
  const jag = height * 0.055;
  const foot: Point = [top[0] + (right[0] - left[0]) * 0.07, Math.max(left[1], right[1])];
  const l = edge(top, left, 9, jag, seed);
  const r = edge(top, right, 9, jag, seed + 31);
  const spine = edge(top, foot, 9, jag * 1.9, seed + 67);
  // The lower edge of the snow runs in tongues down the gullies.
  const tongues = (a: Point, b: Point, n: number, from: number): Point[] => Array.from({ length: n }, (_, i): Point => {
    const t = (i + 1) / (n + 1);
    return [a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t + (i % 2 === 0 ? 1 : -0.55) * height * (0.07 + 0.09 * near(from + i))];
  });
  const cut = Math.max(2, Math.round(9 * snow));
  const side = (outer: Point[], from: number) => `M${put([...outer.slice(0, cut + 1), ...tongues(outer[cut]!, spine[cut]!, 5, from), ...spine.slice(0, cut + 1).reverse()])}z`;
  return {
    body: `M${put([...[...l].reverse(), ...r.slice(1)])}L${right[0]} 250H${left[0]}z`,
    lit: `M${put([...l, foot, ...[...spine].reverse()])}z`,
    snowLit: side(l, seed + 101), snowShade: side(r, seed + 149),
  };
}

/** A spruce: tiers of boughs, each wider than the one above. */
export function spruce(x: number, base: number, h: number, tiers = 5): string {
  const right: Point[] = [];
  const left: Point[] = [];
  for (let i = 1; i <= tiers; i++) {
    const y = base - h + (h * 0.95 * i) / tiers;
    const w = h * (0.06 + (0.17 * i) / tiers);
    right.push([x + w, y], [x + w * 0.5, y - h * 0.035]);
    left.push([x - w, y], [x - w * 0.5, y - h * 0.035]);
  }
  right[right.length - 1] = [x + h * 0.03, base - h * 0.05];
  left[left.length - 1] = [x - h * 0.03, base - h * 0.05];
  return `M${put([[x, base - h], ...right, [x + h * 0.03, base], [x - h * 0.03, base], ...left.reverse()])}z`;
}

/** A line of n spruces as one path. */
export function forest(n: number, from: number, to: number, ground: (x: number) => number, h: number, seed: number): string {
  return Array.from({ length: n }, (_, i) => {
    const x = from + ((to - from) * (i + (near(seed + i) - 0.5) * 0.8)) / Math.max(1, n - 1);
    return spruce(x, ground(x) + 2, h * (0.65 + 0.6 * near(seed + i * 2.3 + 9)), 4);
  }).join('');
}

export const scatter = (n: number, seed: number) => Array.from({ length: n }, (_, i) => ({ x: near(i * 1.7 + seed), y: near(i * 2.9 + seed + 50), r: near(i * 4.3 + seed + 90) }));
