// Reading aloud with a voice that lives on this machine; voices that would send the text away are not used.
// Browsers learn of their voices late and tell by an event.
const voices = $state<{ local: SpeechSynthesisVoice[]; speaking: boolean }>({ local: [], speaking: false });
if ('speechSynthesis' in window) {
  const learn = () => { voices.local = speechSynthesis.getVoices().filter((voice) => voice.localService); };
  speechSynthesis.addEventListener('voiceschanged', learn);
  learn();
}

export const canSpeak = (): boolean => voices.local.length > 0;
export const speaking = (): boolean => voices.speaking;

export function speak(markdown: string): void {
  if (voices.speaking) { speechSynthesis.cancel(); voices.speaking = false; return; }
  const text = markdown.replace(/```[\s\S]*?```/g, ' … ').replace(/[*_`#>|$]/g, '');
  const polish = /[ąćęłńóśźż]/i.test(text);
  const voice = voices.local.find((v) => v.lang.startsWith(polish ? 'pl' : 'en')) ?? voices.local[0];
  if (!voice) return;
  const said = new SpeechSynthesisUtterance(text);
  said.voice = voice;
  said.lang = voice.lang;
  said.onend = said.onerror = () => { voices.speaking = false; };
  voices.speaking = true;
  speechSynthesis.speak(said);
}
