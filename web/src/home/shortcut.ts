// Keys as the keyboard at hand writes them, and not at all where there is none: a phone or a tablet, told by a pointer that is only a finger.
interface Agent { platform: string; userAgentData?: { platform: string } }

export const isMac = (agent: Agent): boolean => /^(mac|iphone|ipad)/i.test(agent.userAgentData?.platform || agent.platform);

/** `Ctrl Shift O` as signs, one a key: on a Mac Ctrl is ⌘ and Shift is ⇧, which stands first. */
export function keysOf(keys: string, mac: boolean): string[] {
  const all = keys.split(' ');
  if (!mac) return all;
  const held = ['Shift', 'Ctrl'].filter((key) => all.includes(key)).map((key) => (key === 'Shift' ? '⇧' : '⌘'));
  return [...held, ...all.filter((key) => key !== 'Shift' && key !== 'Ctrl')];
}
/** In one word: Ctrl+K, ⌘K. */
export const inOneWord = (keys: string, mac: boolean): string => keysOf(keys, mac).join(mac ? '' : '+');

export const mac = isMac(navigator as Agent);
const fine = matchMedia('(any-pointer: fine)');
export const hasKeyboard = (): boolean => fine.matches;

/** What stands at the end of a command, if anything. */
export const shortcut = (keys: string): string | undefined => (hasKeyboard() ? inOneWord(keys, mac) : undefined);
/** For the tip of a button: its name with the keys behind it. */
export const withKeys = (name: string, keys: string): string => (hasKeyboard() ? `${name} (${inOneWord(keys, mac)})` : name);
