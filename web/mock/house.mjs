// The house's state in memory, its event log and its streams. Everything that changes goes through emit(), so that what a page sees
// is exactly what `after` can replay.
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';

import { catalog, folders } from './models.mjs';
import { defaults } from './settings.mjs';

export const id = (prefix) => prefix + '_' + randomBytes(6).toString('hex');

export class Refusal extends Error {
  constructor(status, code, message, extra = {}) {
    super(message);
    this.status = status;
    this.error = { code, message, ...extra };
  }
}

const KEPT = 100_000;

export class House {
  constructor(options) {
    this.options = { rate: 24, firstStart: false, password: null, big: false, ...options };
    this.boot = id('boot');
    this.seq = 0;
    this.log = 0;
    this.events = [];
    this.streams = new Set();
    this.settings = { ...defaults(), 'house.first_start_done': !this.options.firstStart };
    this.models = catalog(this.options.firstStart);
    this.measured = !this.options.unmeasured; // until then no speed is promised
    this.estimates = new Map(this.models.map((model) => [model.id, model.estimate]));
    if (!this.measured) for (const model of this.models) model.estimate = null;
    this.folders = this.options.firstStart ? [] : folders();
    this.threads = new Map();
    this.messages = new Map();
    this.runs = new Map();
    this.jobs = [];
    this.compares = new Map();
    this.personas = new Map([['gazda', { id: 'gazda', name: 'Gazda', text: 'Jesteś gospodarzem chaty na hali. Mówisz ciepło i krótko.', updated_ms: Date.now() }]]);
    this.phrases = new Map();
    this.presets = new Map();
    this.sets = new Map();
    this.attachments = new Map();
    this.done = new Map();
    this.sessions = new Set();
    this.hearth = { state: 'idle', progress: null, rate: null };
    this.failNext = null; // 'run' | 'middle' | 'job'
    if (this.options.keep && existsSync(this.options.keep)) this.#remember();
    const loaded = this.models.find((m) => m.state === 'loaded');
    this.engine = { state: loaded ? 'ready' : 'empty', model: loaded?.id ?? null, n_ctx: loaded ? 8192 : null, vision: false };
    if (!loaded) this.hearth.state = 'asleep';
  }

  /** What a committed store would still know after `kill -9`: everything up to the last event. Written before an event leaves. */
  #commit() {
    const { seq, log, settings, threads, messages } = this;
    writeFileSync(`${this.options.keep}.part`, JSON.stringify({ seq, log, settings, threads: [...threads], messages: [...messages] }));
    renameSync(`${this.options.keep}.part`, this.options.keep);
  }
  /** The next start: answers that were under way are interrupted. */
  #remember() {
    const kept = JSON.parse(readFileSync(this.options.keep, 'utf8'));
    Object.assign(this, { seq: kept.seq, log: kept.log, settings: kept.settings, threads: new Map(kept.threads), messages: new Map(kept.messages) });
    for (const thread of this.threads.values()) thread.run = null;
    for (const message of this.messages.values()) if (message.state === 'running') message.state = 'interrupted';
  }

  emit(type, data, thread = null, node = null) {
    const event = { v: 1, seq: ++this.seq, at: Date.now(), type, thread, node, data };
    this.events.push(event);
    if (this.options.keep) this.#commit();
    if (this.events.length > KEPT) this.events.shift();
    const frame = this.frame(event);
    for (const stream of this.streams) stream.write(frame);
    return event.seq;
  }

  frame(event) { return `id: ${event.seq}\ndata: ${JSON.stringify(event)}\n\n`; }

  attach(response, after) {
    response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' });
    const oldest = this.events[0]?.seq ?? this.seq + 1;
    const resumed = after === null || (after >= oldest - 1 && after <= this.seq);
    const hello = { v: 1, seq: this.seq, at: Date.now(), type: 'engine.hello', thread: null, node: null, data: { version: '0.1.0', boot: this.boot, resumed } };
    response.write(this.frame(hello));
    response.write(this.frame({ v: 1, seq: this.seq, at: Date.now(), type: 'hearth.state', thread: null, node: null, data: this.hearth }));
    if (resumed && after !== null) for (const event of this.events.slice(after - oldest + 1)) response.write(this.frame(event));
    this.streams.add(response);
    const ping = setInterval(() => response.write(': ping\n\n'), 15_000);
    response.on('close', () => { clearInterval(ping); this.streams.delete(response); });
  }

  setHearth(state, progress = null, rate = null) {
    const same = this.hearth.state === state && this.hearth.progress === progress && this.hearth.rate === rate;
    this.hearth = { state, progress, rate };
    if (!same) this.emit('hearth.state', this.hearth);
  }

  rest() { this.setHearth(this.engine.model ? 'idle' : 'asleep'); }

  need(map, kind, key) {
    const found = map instanceof Map ? map.get(key) : map.find((x) => x.id === key);
    if (!found) throw new Refusal(404, `${kind}.unknown`, `no ${kind} ${key}`);
    return found;
  }

  once(clientId, make) {
    if (!clientId) throw new Refusal(400, 'request.invalid', 'client_id is missing', { param: 'client_id' });
    if (!this.done.has(clientId)) this.done.set(clientId, make());
    return this.done.get(clientId);
  }

  changedModel(model) { this.emit('model.changed', model); }

  startJob(kind, title, subject, totalBytes, seconds, step, finish, failed) {
    const job = { id: id('j'), kind, title, subject, state: 'running', progress: 0, done_bytes: 0, total_bytes: totalBytes, bytes_per_s: totalBytes / seconds,
      left_s: seconds, created_ms: Date.now(), ended_ms: null, error: null, result: null };
    this.jobs.unshift(job);
    this.emit('job.changed', { ...job });
    const started = Date.now();
    const timer = setInterval(() => {
      if (job.state !== 'running') return clearInterval(timer);
      job.progress = Math.min(1, (Date.now() - started) / 1000 / seconds);
      job.done_bytes = Math.round(totalBytes * job.progress);
      job.left_s = seconds * (1 - job.progress);
      step?.(job);
      if (this.failNext === 'job' && job.progress > 0.2) {
        this.failNext = null;
        clearInterval(timer);
        Object.assign(job, { state: 'failed', ended_ms: Date.now(), error: { code: 'hub.unreachable', message: 'no answer' } });
        failed?.(job);
      } else if (job.progress >= 1) {
        clearInterval(timer);
        Object.assign(job, { state: 'done', ended_ms: Date.now(), left_s: 0 });
        finish?.(job);
      }
      this.emit('job.changed', { ...job });
    }, 250);
    return job;
  }
}
