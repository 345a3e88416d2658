import { api, ask, words, type Schemas } from '../api/client';
import { t } from './i18n.svelte';
import { notes } from './notes.svelte';
import { session } from './session.svelte';

/** What waits: my candidate, and a commit that is to be confirmed. */
class Edits {
	candidate = $state.raw<Schemas['Candidate']>();
	pending = $state.raw<Schemas['PendingCommit']>();
	/** When the pending commit returns, by this machine's clock. */
	until = $state(0);

	get count(): number {
		return this.candidate?.edits.length ?? 0;
	}

	refresh = async (): Promise<void> => {
		if (!session.known) return;
		const [candidate, confirmation] = await Promise.allSettled([
			session.may('operator') ? ask(api.GET('/v1/candidate', {})) : Promise.resolve(undefined),
			ask(api.GET('/v1/confirmation', {})),
		]);
		if (candidate.status === 'fulfilled') this.candidate = candidate.value;
		if (confirmation.status === 'fulfilled') this.waitFor(confirmation.value.pending ?? undefined);
	};

	waitFor(pending: Schemas['PendingCommit'] | undefined): void {
		this.pending = pending;
		if (pending) this.until = Date.now() + pending.secondsLeft * 1000;
	}

	/** Does something to the candidate and says so, or says why not. */
	async edit(done: string, change: () => Promise<unknown>): Promise<boolean> {
		try {
			await change();
			await this.refresh();
			notes.add({ text: done, href: '/changes', link: t('edit.review') });
			return true;
		} catch (error) {
			notes.add({ text: words(error), bad: true });
			return false;
		}
	}
}

export const edits = new Edits();

setInterval(() => {
	if (!document.hidden) void edits.refresh();
}, 3000);

export type Backend = Schemas['Backend'];

/** Changes backends of a service in the candidate: what the candidate already has is kept. */
export async function editBackends(name: string, change: (backends: Backend[]) => Backend[]): Promise<void> {
	const mine = edits.candidate?.edits.find((edit) => edit.object.kind === 'Service' && edit.object.name === name)?.toBe as
		| { spec?: { backends?: Backend[] } }
		| undefined;
	const spec = mine?.spec ?? (await ask(api.GET('/v1/services/{name}', { params: { path: { name } } }))).spec;
	const backends = change(structuredClone(spec.backends ?? []));
	await ask(
		api.PATCH('/v1/services/{name}', {
			params: { path: { name }, query: { candidate: true } },
			body: { spec: { backends } } as never,
			headers: { 'content-type': 'application/merge-patch+json' },
		}),
	);
}
