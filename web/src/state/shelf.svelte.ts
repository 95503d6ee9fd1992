// Models, folders and jobs as the server tells them.
import { get, post, Refusal, remove } from '../wire/client';
import type { Folder, Job, Model } from '../wire/types';
import { on, onRenew } from './bus';
import { house } from './house.svelte';
import { size, span, t } from '../words/index.svelte';
import { attempt, errorText, notices } from './notice.svelte';

export const isUnderWay = (job: Job | undefined): job is Job => job?.state === 'running' || job?.state === 'waiting';

class Shelf {
  models = $state.raw<Model[]>([]);
  folders = $state.raw<Folder[]>([]);
  jobs = $state.raw<Job[]>([]);
  known = $state(false);

  async load(): Promise<void> {
    const [shelf, jobs] = await Promise.all([get<{ models: Model[]; folders: Folder[] }>('/models'), get<{ jobs: Job[] }>('/jobs')]);
    this.models = shelf.models;
    this.folders = shelf.folders;
    this.jobs = jobs.jobs;
    this.known = true;
  }
  async need(): Promise<void> { if (!this.known) await attempt(() => this.load()); }

  /** Downloads of what is no card of its own yet: an address nobody knew before. */
  get coming(): Job[] { return this.jobs.filter((job) => job.kind === 'download' && isUnderWay(job) && !this.models.some((m) => m.id === job.subject)); }
  /** What is here and can answer. */
  get writers(): Model[] { return this.here.filter((m) => !m.encoder); }
  get here(): Model[] { return this.models.filter((m) => m.state !== 'absent' && m.state !== 'downloading'); }
  get loaded(): Model | undefined { return this.models.find((m) => m.state === 'loaded'); }
  job(id: string | null): Job | undefined { return this.jobs.find((j) => j.id === id); }
  name(id: string | null): string { return this.models.find((m) => m.id === id)?.name ?? id ?? ''; }

  /** How far a job is, in words. */
  progress(job: Job): string {
    const name = this.name(job.subject) || job.title;
    // The one by the fire ends its answers first.
    const waits = !job.progress && ['reading', 'thinking', 'speaking'].includes(house.hearth.state);
    if (waits && (job.kind === 'load' || job.kind === 'unload')) return t(`job.${job.kind}.waits`, { name });
    if (job.kind === 'load') return t('job.load', { name, n: Math.round((job.progress ?? 0) * 100) });
    if (job.kind === 'unload') return t('job.unload', { name });
    if (job.total_bytes <= 0) return t('job.download.begun', { name });
    const counted = { name, done: size(job.done_bytes), all: size(job.total_bytes) };
    return job.left_s === null ? t('job.download.plain', counted) : t('job.download', { ...counted, left: span(job.left_s) });
  }
  /** Why a job came to nothing. */
  trouble(job: Job): string {
    const why = errorText(job.error);
    const name = this.name(job.subject) || job.title;
    if (job.kind === 'download') return t('job.failed.download', { name, why });
    if (job.kind === 'load') return t('job.failed.load', { name, why });
    return job.kind === 'import' ? t('job.failed.import', { why }) : t('job.failed', { why });
  }

  loadModel(id: string, wish: { n_ctx?: number; kv_type?: string } = {}) { return this.#begin(() => post<Job>(`/models/${encodeURIComponent(id)}/load`, wish)); }
  unload(id: string) { return attempt(() => post<Job>(`/models/${encodeURIComponent(id)}/unload`)); }
  download(name: string) { return this.#begin(() => post<Job>('/downloads', { name })); }
  cancel(job: string) { return attempt(() => post<Job>(`/jobs/${job}/cancel`)); }
  /** Files that Watra did not download: it says so when asked to delete them, and is not asked again. */
  foreign = $state.raw<ReadonlySet<string>>(new Set());
  erase(id: string) {
    return attempt(() => remove(`/models/${encodeURIComponent(id)}`).catch((error: unknown) => {
      if (error instanceof Refusal && error.code === 'model.not_ours') this.foreign = new Set([...this.foreign, id]);
      throw error;
    }));
  }
  async addFolder(path: string): Promise<boolean> {
    const folder = await attempt(() => post<Folder>('/folders', { path }));
    if (folder) await attempt(() => this.load());
    return folder !== undefined;
  }
  async dropFolder(id: string): Promise<void> {
    await attempt(() => remove(`/folders/${id}`));
    await attempt(() => this.load());
  }

  take(model: Model): void {
    const at = this.models.findIndex((m) => m.id === model.id);
    this.models = at < 0 ? [...this.models, model] : this.models.with(at, model);
  }
  async #begin(ask: () => Promise<Job>): Promise<Job | undefined> {
    const job = await attempt(ask);
    if (job && !this.job(job.id)) this.takeJob(job); // its events may have come first
    return job;
  }
  takeJob(job: Job): void {
    if (job.state === 'failed' && this.job(job.id)?.state !== 'failed') notices.say(this.trouble(job), 'bad');
    const at = this.jobs.findIndex((j) => j.id === job.id);
    this.jobs = at < 0 ? [job, ...this.jobs] : this.jobs.with(at, job);
  }
}
export const shelf = new Shelf();
on('model.changed', (event) => shelf.take(event.data as unknown as Model));
on('model.removed', (event) => { shelf.models = shelf.models.filter((m) => m.id !== event.data['id']); });
on('job.changed', (event) => shelf.takeJob(event.data as unknown as Job));
onRenew(() => { if (shelf.known) void attempt(() => shelf.load()); });
