import { mount } from 'svelte';
import App from './App.svelte';
import { loadMessages } from './lib/i18n.svelte';
import { settings } from './lib/settings.svelte';
import './app.css';

await loadMessages(settings.language);
const target = document.getElementById('app');
if (target) mount(App, { target });
