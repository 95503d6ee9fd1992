// Bringing conversations from elsewhere: the file goes to the server, a job reads it, and what came can be taken back. It goes on when the
// settings are closed; its end is told wherever one is.
import { remove, upload } from '../wire/client';
import type { Job } from '../wire/types';
import { t } from '../words/index.svelte';
import { on } from './bus';
import { attempt, notices } from './notice.svelte';
import { isUnderWay, shelf } from './shelf.svelte';

export interface Brought { import: string; threads: number; messages: number; problems: { where: string; what: string }[] }

class Bring {
  /** What is being sent or read; empty while nothing is. */
  file = $state('');
  #job = $state<string | null>(null);
  undone = $state(false);

  get job(): Job | undefined { return shelf.job(this.#job); }
  get busy(): boolean { return this.file !== '' && (!this.#job || isUnderWay(this.job)); }
  get brought(): Brought | null { return this.job?.state === 'done' ? (this.job.result as Brought) : null; }

  async take(file: File): Promise<void> {
    this.file = file.name;
    this.#job = null;
    this.undone = false;
    const job = await attempt(() => upload<Job>('/import?dry=false', file, file.name));
    if (!job) { this.file = ''; return; }
    if (!shelf.job(job.id)) shelf.takeJob(job);
    this.#job = job.id;
  }
  async takeBack(): Promise<void> {
    const what = this.brought;
    if (!what || !(await attempt(() => remove<object>(`/imports/${what.import}`)))) return;
    this.undone = true;
    notices.say(t('import.undone'));
  }
}
export const bring = new Bring();

/** What came, in a sentence. */
export const broughtWords = (what: Brought): string => (what.messages === 0 ? t('import.nothing') : t('import.done', { threads: what.threads, messages: what.messages }));
on('job.changed', (event) => {
  const job = event.data as unknown as Job;
  if (job.kind === 'import' && job.state === 'done') notices.say(broughtWords(job.result as Brought));
});
