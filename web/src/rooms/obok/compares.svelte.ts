// Comparisons: answers stream into their columns by the same events as in a conversation.
import { create, get, post, remove } from '../../wire/client';
import type { Compare, Message, QuestionSet, Run, RunState, Series, Thread } from '../../wire/types';
import { on, onRenew } from '../../state/bus';
import { Kept } from '../../state/kept.svelte';
import { attempt, errorText, notices } from '../../state/notice.svelte';
import { shelf } from '../../state/shelf.svelte';

export interface Ask { question: string; system?: string; blind: boolean; columns: { model: string; persona?: string }[] }

class Compares {
  list = $state.raw<Compare[]>([]);
  open = $state.raw<Compare | null>(null);
  answers = $state<Record<string, Message>>({});
  /** What their runs do, by the answer. */
  runs = $state<Record<string, RunState>>({});
  #series = $state.raw<Series | null>(null);
  get series(): Series | null { return this.#series?.state === 'running' ? this.#series : null; }
  readonly sets = new Kept<QuestionSet>('set', 'sets');
  more = $state(false);

  async load(): Promise<void> {
    void this.loadSeries();
    const answer = await attempt(() => get<{ compares: Compare[]; more: boolean }>('/compares'));
    if (answer) { this.list = answer.compares; this.more = answer.more; }
  }
  async older(): Promise<void> {
    const last = this.list.at(-1);
    if (!last) return;
    const answer = await attempt(() => get<{ compares: Compare[]; more: boolean }>(`/compares?before=${last.created_ms}&before_id=${last.id}`));
    if (answer) { this.list = [...this.list, ...answer.compares]; this.more = answer.more; }
  }
  async show(id: string | null): Promise<void> {
    if (!id) { this.open = null; return; }
    const answer = await attempt(() => get<{ compare: Compare }>(`/compares/${id}`));
    if (answer) this.take(answer.compare, true);
  }
  take(compare: Compare, show = false): void {
    const at = this.list.findIndex((c) => c.id === compare.id);
    this.list = at < 0 ? [compare, ...this.list] : this.list.with(at, compare);
    if (show || this.open?.id === compare.id) this.open = compare;
    for (const column of compare.columns) if (column.answer && (this.answers[column.answer.id]?.seq ?? -1) <= column.answer.seq) this.answers[column.answer.id] = column.answer;
  }
  async ask(what: Ask): Promise<Compare | undefined> {
    const compare = await attempt(() => create<Compare>('/compares', { ...what }));
    if (compare) this.take(compare, true);
    return compare;
  }
  /** A whole set, one question after the other; each becomes a comparison of its own, kept like any. The server asks: leaving or reloading the page stops nothing. */
  async askAll(questions: string[], what: Omit<Ask, 'question'>): Promise<void> {
    const series = await attempt(() => create<Series>('/series', { ...what, questions }));
    if (series) this.tellSeries(series);
  }
  async loadSeries(): Promise<void> {
    const answer = await attempt(() => get<{ series: Series | null }>('/series'));
    if (answer) this.#series = answer.series;
  }
  async endSeries(): Promise<void> {
    const series = this.#series && await attempt(() => post<Series>(`/series/${this.#series!.id}/stop`));
    if (series) this.tellSeries(series);
  }
  tellSeries(series: Series): void {
    const fails = series.state === 'failed' && this.#series?.state === 'running';
    this.#series = series;
    if (fails) notices.say(errorText(series.error), 'bad');
  }
  /** Whether it was done. */
  async act(path: string, body: unknown = {}): Promise<boolean> {
    if (!this.open) return false;
    const compare = await attempt(() => post<Compare>(`/compares/${this.open!.id}/${path}`, body));
    if (compare) this.take(compare);
    return compare !== undefined;
  }
  keep(column: string) { return attempt(() => create<Thread>(`/compares/${this.open!.id}/keep`, { column })); }
  async erase(id: string): Promise<void> {
    await attempt(() => remove(`/compares/${id}`));
    this.list = this.list.filter((c) => c.id !== id);
    if (this.open?.id === id) this.open = null;
  }
  piece(id: string, seq: number, index: number, kind: 'text' | 'reasoning', text: string): void {
    const message = this.answers[id];
    if (!message || seq <= message.seq) return;
    const parts = [...message.parts];
    const old = parts[index];
    parts[index] = old && (old.type === 'text' || old.type === 'reasoning') ? { ...old, text: old.text + text } : kind === 'text' ? { type: 'text', text } : { type: 'reasoning', text, seconds: null };
    this.answers[id] = { ...message, parts, seq };
  }
}
export const compares = new Compares();

/** The column that was chosen, by its letter and its name; null where none was. */
export function winner(compare: Compare): { label: string; name: string } | null {
  const column = compare.vote?.verdict === 'best' ? compare.columns.find((c) => c.id === compare.vote?.column) : undefined;
  if (!column) return null;
  const spoke = column.answer ?? compares.answers[column.message ?? ''];
  return { label: column.label, name: column.model ? shelf.name(column.model) : (spoke?.actor.name ?? column.label) };
}
on('series.changed', (event) => compares.tellSeries(event.data as unknown as Series));
on('compare.changed', (event) => {
  const compare = event.data as unknown as Compare;
  compares.take(compare);
  // The voted one tells its names: the answers come anew with what was hidden.
  if (compares.open?.id === compare.id && compare.revealed && compare.vote) void compares.show(compare.id);
});
on('answer.started', (event) => { const m = event.data['message'] as Message; if (compares.open?.thread === event.thread) compares.answers[m.id] = m; });
on('answer.progress', (event) => { const run = event.data as unknown as Run; if (compares.open?.thread === event.thread) compares.runs[run.answer] = run.state; });
on('answer.piece', (event) => { const { part, kind, text } = event.data as { part: number; kind: 'text' | 'reasoning'; text: string }; if (event.node && compares.open?.thread === event.thread) compares.piece(event.node, event.seq, part, kind, text); });
on('answer.ended', (event) => { const m = event.data['message'] as Message; if (compares.open?.thread === event.thread) compares.answers[m.id] = compares.open.blind && !compares.open.revealed ? { ...m, answer: null, actor: { kind: 'model', id: null, name: null } } : m; });
onRenew(() => { if (compares.open) void compares.show(compares.open.id); });
