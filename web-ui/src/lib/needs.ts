import type { Schemas } from '../api/client';
import { t } from './i18n.svelte';

export interface Need {
	severity: 'error' | 'warning';
	title: string;
	text: string;
	href: string;
	link: string;
}

/** What asks for somebody: in the daemon's words, with the way there. */
export function needs(status: Schemas['Status']): Need[] {
	const found: Need[] = [];
	const bad = (condition: Schemas['Condition']) => condition.status === 'False';
	for (const condition of status.conditions.filter(bad)) {
		found.push({ severity: 'error', title: condition.type, text: condition.message, href: '/events', link: t('nav.events') });
	}
	for (const condition of (status.gateway?.conditions ?? []).filter(bad)) {
		found.push({ severity: 'warning', title: condition.type, text: condition.message, href: '/placement', link: t('nav.placement') });
	}
	for (const problem of status.directory.problems ?? []) {
		found.push({ severity: 'error', title: t('needs.directory'), text: problem.text, href: '/system', link: t('nav.system') });
	}
	for (const link of status.gateway?.links ?? []) {
		if (link.actual === 'none') {
			found.push({ severity: 'error', title: t('needs.detached', { link: link.name }), text: link.reason ?? '', href: `/placement?link=${link.name}`, link: t('nav.placement') });
		} else if (link.requested === 'native' && link.actual !== 'native') {
			found.push({ severity: 'warning', title: t('needs.fallback', { link: link.name }), text: link.reason ?? '', href: `/placement?link=${link.name}`, link: t('nav.placement') });
		}
	}
	if (status.totals.backendsDown > 0) {
		found.push({ severity: 'error', title: t('needs.down', { n: status.totals.backendsDown }), text: t('needs.down.text'), href: '/services?state=down', link: t('nav.services') });
	}
	return found;
}
