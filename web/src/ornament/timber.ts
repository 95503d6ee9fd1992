// Boards as paths: grain that runs along them and meets itself where the tile ends, knots that it flows around. Made from numbers once.
const near = (seed: number) => { const s = Math.sin(seed * 91.7) * 43758.5453; return s - Math.floor(s); };

export interface Board { from: number; width: number; tone: number; grain: string; knots: { at: number; along: number; r: number }[] }

/** `n` boards across `width`, each `length` long; along x where `lying`, along y otherwise. */
export function boards(n: number, width: number, length: number, seed: number, lying = false): Board[] {
  const shares = Array.from({ length: n }, (_, i) => 0.8 + 0.4 * near(seed + i));
  const all = shares.reduce((a, b) => a + b, 0);
  let from = 0;
  return shares.map((share, i): Board => {
    const w = (share / all) * width;
    const knots = near(seed + i * 7 + 3) > 0.35 ? [{ at: from + w * (0.3 + 0.4 * near(seed + i * 3 + 1)), along: length * (0.12 + 0.76 * near(seed + i * 5 + 2)), r: 3.5 + 4 * near(seed + i * 11) }] : [];
    const lines = Array.from({ length: 6 }, (_, k) => {
      const base = from + w * ((k + 0.5 + 0.5 * (near(seed + i * 13 + k) - 0.5)) / 6);
      const turns = 1 + Math.floor(near(seed + k + i * 17) * 2);
      const points = Array.from({ length: 25 }, (_, j) => {
        const along = (j / 24) * length;
        let across = base + Math.sin((j / 24) * Math.PI * 2 * turns + k + i) * w * 0.035;
        for (const knot of knots) { const d = (along - knot.along) / (knot.r * 5); const side = base < knot.at ? -1 : 1; across += side * knot.r * 1.3 * Math.exp(-d * d) * Math.max(0, 1 - Math.abs(base - knot.at) / (w * 0.6)); }
        return lying ? `${along.toFixed(0)} ${across.toFixed(1)}` : `${across.toFixed(1)} ${along.toFixed(0)}`;
      });
      return `M${points.join('L')}`;
    });
    const board = { from, width: w, tone: near(seed + i * 19 + 5), grain: lines.join(''), knots };
    from += w;
    return board;
  });
}
