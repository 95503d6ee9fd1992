// The rooms of the house, in the order of the rail. A room is a folder with one component; seats for later rooms are not shown until built.
import Columns2 from '@lucide/svelte/icons/columns-2';
import Gauge from '@lucide/svelte/icons/gauge';
import LibraryBig from '@lucide/svelte/icons/library-big';
import MessageCircle from '@lucide/svelte/icons/message-circle';
import type { Component } from 'svelte';

import { panels } from '../home/panels.svelte';
import { current } from '../state/conversation.svelte';
import { machine } from '../state/machine.svelte';
import { route } from '../state/route.svelte';
import { shelf } from '../state/shelf.svelte';
import type { Key } from '../words/index.svelte';
import { chosen } from './izba/chosen.svelte';
import Izba from './izba/Izba.svelte';

export interface Command { id: string; title: Key; run: () => void }
export interface Room {
  id: string;
  title: Key;
  icon: Component;
  load: () => Promise<{ default: Component }>;
  /** A number on the room's icon, 0 for none. */
  badge: () => number;
  /** What can be done there from anywhere, in the palette. */
  commands: Command[];
}

export const rooms: Room[] = [
  { id: 'izba', title: 'room.izba', icon: MessageCircle, load: () => Promise.resolve({ default: Izba }), badge: () => 0, commands: [{ id: 'new', title: 'thread.new', run: () => { route.go('izba'); panels.focusComposer++; } }, { id: 'choose', title: 'many.choose', run: () => { route.go('izba', current.open?.id); panels.hideList(false); chosen.begin(); } }] },
  { id: 'polka', title: 'room.polka', icon: LibraryBig, load: () => import('./polka/Polka.svelte'), badge: () => shelf.jobs.filter((job) => job.state === 'running').length, commands: [] },
  { id: 'obok', title: 'room.obok', icon: Columns2, load: () => import('./obok/Obok.svelte'), badge: () => 0, commands: [{ id: 'ask', title: 'palette.ask', run: () => route.go('obok') }] },
  { id: 'maszynownia', title: 'room.maszynownia', icon: Gauge, load: () => import('./maszynownia/Maszynownia.svelte'), badge: () => 0, commands: [{ id: 'measure', title: 'palette.measure', run: () => { route.go('maszynownia'); void machine.measure(); } }] },
];
