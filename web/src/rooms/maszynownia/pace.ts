// How fast the mill wheel turns at so many tokens a second, in degrees a second. A token a second is seen to turn it, a hundred do not blur it:
// at a step a degree it is never drawn more than thirty times a second.
export const MOST = 30;
export const paceOf = (rate: number): number => (rate > 0 ? Math.min(MOST, 5 + 3.8 * Math.log2(1 + rate)) : 0);
