// A log's soft crack when an answer is ready, for whoever switched it on. Made from noise: no file, nothing fetched. A browser lets a page sound
// only after a hand has touched it; until then it stays silent.
import { on } from '../state/bus';
import { settings } from '../state/settings.svelte';

let audio: AudioContext | undefined;

/** A burst of noise that dies away within a tenth of a second, through a filter that makes wood of it; a second, fainter one follows. */
export function crack(): void {
  audio ??= new AudioContext();
  const from = audio.currentTime + 0.02;
  for (const [delay, loud, pitch] of [[0, 0.16, 1400], [0.07, 0.06, 2100]] as const) {
    const noise = new AudioBuffer({ length: Math.round(audio.sampleRate * 0.12), sampleRate: audio.sampleRate });
    const wave = noise.getChannelData(0);
    for (let i = 0; i < wave.length; i++) wave[i] = (Math.random() * 2 - 1) * Math.exp(-i / (audio.sampleRate * 0.012));
    const wood = new BiquadFilterNode(audio, { type: 'bandpass', frequency: pitch, Q: 1.6 });
    const volume = new GainNode(audio, { gain: loud });
    const source = new AudioBufferSourceNode(audio, { buffer: noise });
    source.connect(wood).connect(volume).connect(audio.destination);
    source.start(from + delay);
  }
}

on('answer.ended', (event) => {
  if (settings.get('look.sound', false) && (event.data['message'] as { state?: string } | undefined)?.state === 'done') crack();
});
