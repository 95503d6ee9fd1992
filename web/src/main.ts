import './look/tokens.css';
import './look/fonts.css';
import './look/base.css';
import './look/print.css';

import { mount } from 'svelte';

import App from './App.svelte';
import { clock } from './look/clock.svelte';
import { house } from './state/house.svelte';
import { settings } from './state/settings.svelte';
import './hearth/crack';
import './state/title';

clock.begin();
settings.begin();
void house.enter();
mount(App, { target: document.getElementById('house')! });
