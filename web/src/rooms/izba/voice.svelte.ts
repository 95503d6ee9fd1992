// Reading aloud with a voice that lives on this machine; voices that would send the text away are not used.
// Browsers learn of their voices late and tell by an event.
const voices = $state<{ local: SpeechSynthesisVoice[] }>({ local: [] });
if ('speechSynthesis' in window) {
  const learn = () => { voices.local = speechSynthesis.getVoices().filter((voice) => voice.localService); };
  speechSynthesis.addEventListener('voiceschanged', learn);
  learn();
}

export const canSpeak = (): boolean => voices.local.length > 0;

export function speak(markdown: string): void {
  if (speechSynthesis.speaking) { speechSynthesis.cancel(); return; }
  const text = markdown.replace(/```[\s\S]*?```/g, ' … ').replace(/[*_`#>|$]/g, '');
  const polish = /[ąćęłńóśźż]/i.test(text);
  const voice = voices.local.find((v) => v.lang.startsWith(polish ? 'pl' : 'en')) ?? voices.local[0];
  if (!voice) return;
  const said = new SpeechSynthesisUtterance(text);
  said.voice = voice;
  said.lang = voice.lang;
  speechSynthesis.speak(said);
}
