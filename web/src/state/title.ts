// The title of the tab: marks an answer that was finished while nobody looked.
import { t } from '../words/index.svelte';
import { on } from './bus';

const NAME = 'Watra';
on('answer.ended', () => { if (document.hidden) document.title = `✓ ${t('title.done')} · ${NAME}`; });
document.addEventListener('visibilitychange', () => { if (!document.hidden) document.title = NAME; });
