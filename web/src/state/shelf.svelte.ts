// Models, folders and jobs as the server tells them.
import { get, post, remove } from '../wire/client';
import type { Folder, Job, Model } from '../wire/types';
import { on, onRenew } from './bus';
import { attempt } from './notice.svelte';

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

  get here(): Model[] { return this.models.filter((m) => m.state !== 'absent' && m.state !== 'downloading'); }
  get loaded(): Model | undefined { return this.models.find((m) => m.state === 'loaded'); }
  job(id: string | null): Job | undefined { return this.jobs.find((j) => j.id === id); }
  name(id: string | null): string { return this.models.find((m) => m.id === id)?.name ?? id ?? ''; }

  loadModel(id: string, wish: { n_ctx?: number; kv_type?: string } = {}) { return attempt(() => post<Job>(`/models/${encodeURIComponent(id)}/load`, wish)); }
  unload(id: string) { return attempt(() => post<Job>(`/models/${encodeURIComponent(id)}/unload`)); }
  download(name: string) { return attempt(() => post<Job>('/downloads', { name })); }
  cancel(job: string) { return attempt(() => post<Job>(`/jobs/${job}/cancel`)); }
  erase(id: string) { return attempt(() => remove(`/models/${encodeURIComponent(id)}`)); }
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
  takeJob(job: Job): void {
    const at = this.jobs.findIndex((j) => j.id === job.id);
    this.jobs = at < 0 ? [job, ...this.jobs] : this.jobs.with(at, job);
  }
}
export const shelf = new Shelf();
on('model.changed', (event) => shelf.take(event.data as unknown as Model));
on('model.removed', (event) => { shelf.models = shelf.models.filter((m) => m.id !== event.data['id']); });
on('job.changed', (event) => shelf.takeJob(event.data as unknown as Job));
onRenew(() => { if (shelf.known) void attempt(() => shelf.load()); });
