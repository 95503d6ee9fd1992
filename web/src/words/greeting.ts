// The greeting of the house, by the hour: the same at the first start and over every conversation that has not begun.
import type { Key } from './index.svelte';

export function greeting(now: Date): Key {
  const hour = now.getHours();
  return hour < 5 ? 'hello.night' : hour < 11 ? 'hello.morning' : hour < 18 ? 'hello.day' : 'hello.evening';
}
