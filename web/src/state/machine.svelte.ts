// What the machine is and whether its speeds were measured: until they were, nothing is promised about a model.
import { get, post } from '../wire/client';
import type { Job, Machine } from '../wire/types';
import { on, onRenew } from './bus';
import { attempt } from './notice.svelte';
import { shelf } from './shelf.svelte';

class MachineStore {
  known = $state.raw<Machine | null>(null);

  async load(): Promise<void> { this.known = (await attempt(() => get<Machine>('/machine'))) ?? this.known; }
  async need(): Promise<void> { if (!this.known) await this.load(); }
  get measuring(): Job | undefined { return shelf.jobs.find((job) => job.kind === 'measure' && (job.state === 'running' || job.state === 'waiting')); }
  async measure(): Promise<void> {
    const job = await attempt(() => post<Job>('/machine/measure'));
    if (job) shelf.takeJob(job);
  }
}
export const machine = new MachineStore();
on('job.changed', (event) => {
  const job = event.data as unknown as Job;
  if (job.kind === 'measure' && job.state === 'done') { void machine.load(); void attempt(() => shelf.load()); }
});
onRenew(() => { if (machine.known) void machine.load(); });
