// The wire types of /watra/v1, as docs/openapi.json has them. Nothing here is computed.

export type Id = string;
export type Words = { pl: string; en: string };
export type Tier = 'vram' | 'ram' | 'disk';

export interface WireError { code: string; message: string; hint?: string | null; param?: string | null; allowed?: unknown }

export interface Engine { state: 'empty' | 'loading' | 'ready' | 'error'; model: Id | null; n_ctx: number | null; vision: boolean; error?: WireError | null }
export interface House {
  version: string; first_start: boolean; door: { lan: boolean; tls: boolean; password: boolean };
  engine: Engine; settings: Record<string, unknown>; as_of: number;
}
export type HearthState = 'asleep' | 'idle' | 'loading' | 'reading' | 'thinking' | 'speaking' | 'error';
export interface Hearth { state: HearthState; progress: number | null; rate: number | null }
export interface WatraEvent { v: 1; seq: number; at: number; type: string; thread: Id | null; node: Id | null; data: Record<string, unknown> }

export interface Bytes3 { vram_bytes: number; ram_bytes: number; disk_bytes: number }
export interface Estimate {
  verdict: 'good' | 'slow' | 'very_slow' | 'no_fit'; decode_tokens_per_s: number; prefill_tokens_per_s: number; load_s: number;
  n_ctx: number; kv_type: string; bound_by: 'vram' | 'ram' | 'disk' | 'compute'; layers: { tier: Tier; n: number }[];
  placement: Bytes3; capacity: Bytes3; memory: { tag: string; bytes: number }[];
  advice: { change: string; option?: string; decode_tokens_per_s: number }[]; measured_tokens_per_s: number | null; measured_answers: number;
  /** With the drafts that the house would use; null where it drafts nothing. */
  with_drafts: { decode_tokens_per_s: number; tau: number; draft: string } | null;
}
export interface Model {
  id: Id; name: string; file: string | null; origin: 'shelf' | 'folder' | 'catalog';
  state: 'absent' | 'downloading' | 'ready' | 'loading' | 'loaded' | 'broken';
  bytes: number; n_params: number; quant: string; architecture: string; n_layers: number; n_ctx_train: number; licence: string; about: Words;
  languages: { pl: 'none' | 'little' | 'some' | 'good' | 'unknown' }; vision: boolean; chat: boolean; encoder?: boolean; removable: boolean; sha256: string | null; job: Id | null;
  estimate: Estimate | null; error?: WireError | null;
}
export interface Folder { id: Id; path: string; n_models: number; bytes: number }
export interface Suggestion { path: string; program: string; n_models: number; bytes: number }
export interface Job {
  id: Id; kind: string; title: string; subject: Id | null; state: 'waiting' | 'running' | 'done' | 'cancelled' | 'failed';
  progress: number | null; done_bytes: number; total_bytes: number; bytes_per_s: number; left_s: number | null;
  created_ms: number; ended_ms: number | null; error: WireError | null; result: unknown;
}

export type Sampling = Record<string, number | string[] | undefined>;
export interface Context { n_ctx: number; used_tokens: number; reserve_tokens: number; sees_from: Id | null; forgotten_tokens?: number }
export type Part =
  | { type: 'text'; text: string }
  | { type: 'reasoning'; text: string; seconds: number | null }
  | { type: 'tool_call'; id: string; name: string; arguments: string }
  | { type: 'tool_result'; id: string; text: string }
  | { type: 'image'; hash: string; name: string; mime: string; bytes: number; width: number; height: number; missing?: boolean }
  | { type: 'attachment'; hash: string; name: string; mime: string; bytes: number; n_tokens: number | null; missing?: boolean };
export interface Answer {
  model: { id: Id; name: string; file?: string; sha256: string; quant: string; template: string }; persona: Id | null; sampling: Sampling; seed: number;
  prompt_hash: string; n_prompt: number; n_cached: number; n_generated: number; ttft_ms: number; prefill_tokens_per_s: number;
  decode_tokens_per_s: number; predicted_tokens_per_s: number | null; seconds: number;
  finish_reason: 'stop' | 'length' | 'stopped' | 'failed' | 'interrupted' | null; tau: number; context: Context; memory_bytes: number;
}
export type Role = 'user' | 'assistant' | 'system' | 'tool';
export interface Message {
  id: Id; log: number; seq: number; thread: Id; parent: Id | null; role: Role;
  actor: { kind: 'person' | 'companion' | 'model' | 'system'; id: string | null; name: string | null };
  at_ms: number; parts: Part[]; state: 'done' | 'running' | 'stopped' | 'interrupted' | 'failed' | 'erased';
  pinned: boolean; ref: Id | null; source: 'page' | 'api' | 'import' | 'pasted' | 'edited'; origin: Id | null; answer: Answer | null; error: WireError | null;
}
export interface Draft { text: string; parts: Part[]; at_ms: number }
export interface Thread {
  id: Id; title: string; named: boolean; pinned: boolean; archived: boolean; folder: string | null; tags: string[];
  created_ms: number; updated_ms: number; n_messages: number; head: Id | null; model: Id | null; persona: Id | null; system: string | null;
  sampling: Sampling; draft: Draft | null; run: Id | null; origin: unknown;
}
export type RunState = 'queued' | 'loading' | 'reading' | 'thinking' | 'speaking' | 'done' | 'stopped' | 'interrupted' | 'failed';
export interface Run {
  id: Id; thread: Id; answer: Id; state: RunState; ahead: number; forgotten_tokens?: number;
  read: { done: number; total: number; tokens_per_s: number; left_s: number | null } | null;
  write: { done: number; tokens_per_s: number; left_s: number | null } | null;
  again?: { done: number; total: number; tokens_per_s: number; left_s: number | null };
}
export interface Turn { message: Message | null; answer: Message; run: Run; as_of: number }
export interface PromptSpan {
  kind: 'template' | 'content'; what: 'system' | 'persona' | 'memory' | 'turn' | 'generation'; role: string | null; message: Id | null;
  why: string | null; score: number | null; n_tokens: number; cached: boolean; text: string;
}
export interface Prompt {
  model: string; template: string; n_tokens: number; n_ctx: number; n_cached: number; spans: PromptSpan[];
  dropped: { message: Id; n_tokens: number; why: string }[]; sampling: Sampling; seed: number;
}
export interface Hit { thread: Id; title: string; message: Id; role: Role; at_ms: number; snippet: { text: string; hit: boolean }[]; version?: { at: number; of: number } }
export interface Phrase { id: Id; name: string; text: string; updated_ms: number }
export interface Persona { id: Id; name: string; text: string; updated_ms: number }
export interface Setting {
  key: string; group: string; type: 'bool' | 'int' | 'float' | 'text' | 'choice' | 'json'; default: unknown; min?: number; max?: number; step?: number;
  choices?: { value: string; name: Words }[]; off?: unknown; level: 'plain' | 'more' | 'expert'; name: Words; what: Words; cost: Words | null;
  applies: 'now' | 'next_answer' | 'load' | 'restart';
}
export interface Schema { groups: { id: string; name: Words }[]; settings: Setting[] }
export interface Preset { id: Id; name: Words; sampling: Sampling; builtin: boolean; updated_ms: number }
export interface Column {
  id: Id; label: string; model: Id | null; persona: Id | null; sampling: Sampling; state: RunState; message: Id | null; answer: Message | null; pasted: boolean;
}
export interface Compare {
  id: Id; thread: Id; question: string; system: string | null; blind: boolean; revealed: boolean; order: 'together' | 'in_turn';
  state: 'running' | 'done' | 'stopped' | 'failed'; created_ms: number; vote: { column: Id | null; verdict: 'best' | 'tie' | 'none' } | null; columns: Column[];
}
export interface Series { id: Id; state: 'running' | 'done' | 'stopped' | 'failed'; done: number; all: number; compare: Id | null; error: WireError | null }
export interface QuestionSet { id: Id; name: string; questions: string[]; updated_ms: number }
export interface MemoryRow { tier: Tier; tag: string; bytes: number }
export interface Machine {
  name: string; cpu: { model: string; isa: string[]; cores: number }; gpus: { name: string; bytes: number; gb_s: number }[];
  ram: { bytes: number; gb_s: number }; disks: { path: string; bytes: number; free_bytes: number; gb_s: number | null }[];
  measured: boolean; verdict: Words; memory: MemoryRow[]; limits: { vram_bytes: number; ram_bytes: number };
}
export interface Sample {
  at_ms: number; decode_tokens_per_s: number; prefill_tokens_per_s: number; read_gb_s: number; read_limit_gb_s: number;
  ram_bytes: number; vram_bytes: number; cpu: number; gpu: number | null; celsius: { cpu: number | null; gpu: number | null }; tau: number;
}
export interface Now {
  samples: Sample[]; /** From when they go: the server keeps none from before its start, and ten minutes at most. */ since_ms: number; memory: MemoryRow[];
  queue: { run: Id; class: string; state: RunState; thread: Id | null; n_prompt: number; n_generated: number }[];
}
