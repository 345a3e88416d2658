import type { Component } from 'svelte';
import type { Key } from '../lib/i18n.svelte';
import type { Role } from '../lib/access';
import * as Icon from './icons';

interface Item {
	page: string;
	key: Key;
	icon: Component;
	/** Who sees it; everybody when nothing is said. */
	role?: Role;
	/** The letter behind g. */
	letter: string;
}

export const NAV: { key: Key; items: Item[] }[] = [
	{
		key: 'nav.watch',
		items: [
			{ page: '', key: 'nav.overview', icon: Icon.Activity as Component, letter: 'o' },
			{ page: 'placement', key: 'nav.placement', icon: Icon.Layers as Component, letter: 'p' },
			{ page: 'events', key: 'nav.events', icon: Icon.Radio as Component, letter: 'e' },
			{ page: 'trace', key: 'nav.trace', icon: Icon.Route as Component, letter: 't' },
		],
	},
	{
		key: 'nav.configure',
		items: [
			{ page: 'services', key: 'nav.services', icon: Icon.Server as Component, letter: 's' },
			{ page: 'prefilters', key: 'nav.prefilters', icon: Icon.Filter as Component, letter: 'f' },
			{ page: 'links', key: 'nav.links', icon: Icon.Cable as Component, letter: 'l' },
			{ page: 'changes', key: 'nav.changes', icon: Icon.GitCompare as Component, letter: 'c' },
		],
	},
	{
		key: 'nav.administer',
		items: [
			{ page: 'users', key: 'nav.users', icon: Icon.Users as Component, role: 'administrator', letter: 'u' },
			{ page: 'audit', key: 'nav.audit', icon: Icon.Scroll as Component, role: 'security', letter: 'a' },
			{ page: 'system', key: 'nav.system', icon: Icon.Settings as Component, letter: 'y' },
		],
	},
];
