// Reading aloud with a voice that lives on this machine; voices that would send the text away are not used, and no voice reads a message that
// is for the most part in a language it does not speak. One message at a time; it falls silent when asked, when its conversation is left and when
// the page goes.
import { notices } from '../../state/notice.svelte';
import type { Language } from '../../words/format';
import { t, words } from '../../words/index.svelte';
import { mostOf, pieces } from './aloud';

const voices = $state<{ local: SpeechSynthesisVoice[]; message: string | null }>({ local: [], message: null });
if ('speechSynthesis' in window) {
  // Browsers learn of their voices late and tell by an event.
  const learn = () => { voices.local = speechSynthesis.getVoices().filter((voice) => voice.localService); };
  speechSynthesis.addEventListener('voiceschanged', learn);
  learn();
  window.addEventListener('pagehide', () => speechSynthesis.cancel());
}

const voiceFor = (language: Language): SpeechSynthesisVoice | undefined => {
  const able = voices.local.filter((voice) => voice.lang.toLowerCase().startsWith(language));
  return able.find((voice) => voice.default) ?? able[0];
};

export const isRead = (message: string): boolean => voices.message === message;

let parts: SpeechSynthesisUtterance[] = []; // held: browsers forget to tell of the end of one that nobody holds

export function silence(): void {
  if (voices.message === null) return;
  voices.message = null;
  parts = [];
  speechSynthesis.cancel();
}

export function readAloud(message: string, markdown: string): void {
  silence();
  if (voices.local.length === 0) { notices.say(t('speak.none')); return; }
  const said = pieces(markdown, words.language);
  if (said.length === 0) { notices.say(t('speak.nothing')); return; }
  const main = mostOf(said);
  const mainVoice = voiceFor(main);
  if (!mainVoice) { notices.say(t(`speak.none.${main}`)); return; }
  voices.message = message;
  const mine = parts = said.map((piece) => {
    const part = new SpeechSynthesisUtterance(piece.text);
    part.voice = voiceFor(piece.language) ?? mainVoice;
    part.lang = part.voice.lang;
    return part;
  });
  // What was called off tells of its end late, when something else may be read already.
  const over = () => { if (parts === mine) silence(); };
  for (const part of mine) { part.onerror = over; speechSynthesis.speak(part); }
  mine.at(-1)!.onend = over;
}
