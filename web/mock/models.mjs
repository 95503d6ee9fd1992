// Models as a shelf might hold them on the reference machine, with estimates in the shape of a plan.
const GB = 1e9;
const capacity = { vram_bytes: 23.2 * GB, ram_bytes: 112 * GB, disk_bytes: 640 * GB };

function estimate(bytes, nLayers, tps, verdict, extra = {}) {
  const vram = Math.min(bytes, 21.5 * GB);
  const ram = Math.min(bytes - vram, 108 * GB);
  const disk = bytes - vram - ram;
  const share = (part) => Math.round((part / bytes) * nLayers);
  const layers = [{ tier: 'vram', n: share(vram) }, { tier: 'ram', n: share(ram) }, { tier: 'disk', n: nLayers - share(vram) - share(ram) }].filter((l) => l.n > 0);
  return { verdict, decode_tokens_per_s: tps, prefill_tokens_per_s: tps * 18, load_s: bytes / 4.2e9, n_ctx: 8192, kv_type: 'f16', bound_by: disk > 0 ? 'disk' : ram > 0 ? 'ram' : 'vram', layers,
    placement: { vram_bytes: Math.round(vram), ram_bytes: Math.round(ram), disk_bytes: Math.round(disk) }, capacity,
    memory: [{ tag: 'weights', bytes }, { tag: 'kv', bytes: Math.round(bytes * 0.04) }, { tag: 'scratch', bytes: 0.6 * GB }],
    advice: ram > 0 ? [{ change: '--kv-type q8_0', decode_tokens_per_s: tps * 1.04 }, { change: '--draft auto', decode_tokens_per_s: tps * 3.1 }] : [], with_drafts: null, measured_tokens_per_s: null, measured_answers: 0, ...extra };
}

const model = (id, name, o) => ({ id, name, file: o.state === 'absent' ? null : `/home/jan/.local/share/watra/models/${id}.gguf`, origin: 'shelf', state: 'ready', quant: 'Q4_K_M', architecture: 'llama',
  n_ctx_train: 131072, licence: 'Apache-2.0', languages: { pl: 'unknown' }, vision: false, chat: true, removable: (o.origin ?? 'shelf') === 'shelf' && o.state !== 'absent', sha256: id.padEnd(64, '0').replace(/[^0-9a-f]/g, 'a'), job: null, ...o });

export function catalog(empty) {
  const list = [
    model('bielik-11b-v3', 'Bielik 11B v3', { state: 'loaded', bytes: 6.72e9, n_params: 11.2e9, n_layers: 50, languages: { pl: 'good' }, about: { pl: 'Polski model z Krakowa i Warszawy. Pisze po polsku płynnie, z poczuciem rytmu.', en: 'A Polish model. Writes Polish fluently and with an ear for it.' }, estimate: estimate(6.72e9, 50, 78.4, 'good', { measured_tokens_per_s: 76.9, measured_answers: 9 }) }),
    model('llama-3.3-70b-q8', 'Llama 3.3 70B', { quant: 'Q8_0', bytes: 74.98e9, n_params: 70.6e9, n_layers: 80, licence: 'Llama 3.3', languages: { pl: 'good' }, about: { pl: 'Duży i mądry. Na tej maszynie myśli powoli, za to głęboko.', en: 'Big and wise. Slow on this machine, but deep.' }, estimate: estimate(74.98e9, 80, 1.9, 'slow', { with_drafts: { decode_tokens_per_s: 5.3, tau: 3.1, draft: 'self:q3_k' } }) }),
    model('hermes-4-70b', 'Hermes 4 70B', { origin: 'folder', quant: 'Q5_K_M', bytes: 49.95e9, n_params: 70.6e9, n_layers: 80, licence: 'Llama 3.1', languages: { pl: 'good' }, about: { pl: 'Rozmówca z charakterem, potrafi długo rozważać.', en: 'A talker with character, able to ponder.' }, estimate: estimate(49.95e9, 80, 3.1, 'slow', { with_drafts: { decode_tokens_per_s: 6.8, tau: 2.7, draft: 'llama-3.2-1b' } }) }),
    model('llama-3.1-405b', 'Llama 3.1 405B', { origin: 'folder', bytes: 243e9, n_params: 406e9, n_layers: 126, licence: 'Llama 3.1', languages: { pl: 'good' }, about: { pl: 'Największy. Czyta się z dysku, więc słowo rodzi się sekundami.', en: 'The biggest. Read from disk, a word takes seconds.' }, estimate: estimate(243e9, 126, 0.09, 'very_slow') }),
    model('smollm2', 'SmolLM2 135M', { state: 'ready', quant: 'Q4_1', bytes: 98362432, n_params: 134.5e6, n_layers: 30, n_ctx_train: 8192, languages: { pl: 'none' }, about: { pl: 'Malutki, na próbę. Zna tylko angielski.', en: 'Tiny, to try things. English only.' }, estimate: estimate(98362432, 30, 310, 'good') }),
    model('qwen2.5-coder-1.5b', 'Qwen2.5 Coder 1.5B', { state: 'absent', origin: 'catalog', architecture: 'qwen2', bytes: 1117320768, n_params: 1.54e9, n_layers: 28, languages: { pl: 'some' }, about: { pl: 'Lubi kod, po polsku trochę się potyka.', en: 'Likes code, stumbles a little in Polish.' }, estimate: estimate(1117320768, 28, 164, 'good') }),
    model('qwen2.5-coder-0.5b', 'Qwen2.5 Coder 0.5B', { state: 'absent', origin: 'catalog', architecture: 'qwen2', bytes: 491400064, n_params: 494e6, n_layers: 24, languages: { pl: 'little' }, about: { pl: 'Szybki pomocnik do kodu. Po polsku prawie nie mówi.', en: 'A quick helper for code. Hardly any Polish.' }, estimate: estimate(491400064, 24, 228, 'good') }),
  ];
  if (!empty) return list;
  return list.filter((m) => ['smollm2', 'qwen2.5-coder-1.5b', 'qwen2.5-coder-0.5b'].includes(m.id)).map((m) => ({ ...m, state: 'absent', origin: 'catalog', removable: false, file: null }));
}

export const folders = () => [{ id: 'f_1', path: 'D:\\LM Studio\\models', n_models: 2, bytes: 293e9 }];
export const suggestions = () => [
  { path: 'D:\\LM Studio\\models', program: 'LM Studio', n_models: 6, bytes: 412e9 },
  { path: 'C:\\Users\\Jan\\.ollama\\models', program: 'Ollama', n_models: 3, bytes: 24e9 },
];

export const machine = () => ({
  name: 'Chata', cpu: { model: 'Intel Core i7-12700KF', isa: ['avx2', 'avxvnni'], cores: 12 }, gpus: [{ name: 'NVIDIA GeForce RTX 3090', bytes: 24e9, gb_s: 936 }],
  ram: { bytes: 128e9, gb_s: 75 }, disks: [{ path: '/', bytes: 1000e9, free_bytes: 640e9, gb_s: 5.8 }, { path: '/dane', bytes: 2000e9, free_bytes: 1210e9, gb_s: 0.53 }], measured: true,
  verdict: { pl: 'Mocna maszyna. Modele do 30 miliardów odpowiadają tu szybciej, niż czytasz; 70 miliardów mówi w rytmie spokojnej rozmowy.', en: 'A strong machine. Models up to 30 billion answer faster than you read; 70 billion speak at the pace of a calm conversation.' },
  memory: memory(), limits: { vram_bytes: 23.2e9, ram_bytes: 112e9 },
});

export const memory = () => [
  { tier: 'vram', tag: 'weights', bytes: 6.7e9 }, { tier: 'vram', tag: 'kv', bytes: 1.6e9 }, { tier: 'vram', tag: 'scratch', bytes: 0.5e9 },
  { tier: 'ram', tag: 'weights', bytes: 2.1e9 }, { tier: 'ram', tag: 'pages', bytes: 3.4e9 }, { tier: 'ram', tag: 'store', bytes: 0.2e9 },
];

const samples = [];
export function sample(now, speaking) {
  const wave = (k) => Math.sin(now / 1000 / k);
  const busy = speaking ? 1 : 0;
  const one = { at_ms: now, decode_tokens_per_s: busy * (74 + 4 * wave(3)), prefill_tokens_per_s: busy * 40 * Math.max(0, wave(9)), read_gb_s: busy * (61 + 3 * wave(4)) + 0.2, read_limit_gb_s: 75, ram_bytes: Math.round(5.7e9 + 2e8 * wave(20)),
    vram_bytes: 8.8e9, cpu: 0.06 + busy * (0.6 + 0.05 * wave(5)), gpu: 0.03 + busy * 0.8, celsius: { cpu: 46 + busy * 21 + wave(7), gpu: 41 + busy * 26 + wave(8) }, tau: speaking ? 2.7 : 1 };
  samples.push(one);
  if (samples.length > 600) samples.shift();
  return one;
}
export function history(since) {
  if (samples.length === 0) for (let i = 240; i > 0; i--) sample(Date.now() - i * 1000, Math.sin(i / 17) > -0.2);
  return samples.filter((s) => s.at_ms > since);
}
