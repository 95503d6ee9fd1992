// Reading aloud with a voice that lives on this machine; voices that would send the text away are not used.
const local = () => ('speechSynthesis' in window ? speechSynthesis.getVoices().filter((voice) => voice.localService) : []);

export const canSpeak = (): boolean => local().length > 0;

export function speak(markdown: string): void {
  if (speechSynthesis.speaking) { speechSynthesis.cancel(); return; }
  const text = markdown.replace(/```[\s\S]*?```/g, ' … ').replace(/[*_`#>|$]/g, '');
  const polish = /[ąćęłńóśźż]/i.test(text);
  const voice = local().find((v) => v.lang.startsWith(polish ? 'pl' : 'en')) ?? local()[0];
  if (!voice) return;
  const said = new SpeechSynthesisUtterance(text);
  said.voice = voice;
  said.lang = voice.lang;
  speechSynthesis.speak(said);
}
