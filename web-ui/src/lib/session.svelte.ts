import { api, ask, onAnswer, Refused, setCsrf } from '../api/client';

export type Role = 'viewer' | 'operator' | 'security' | 'administrator';
const ORDER: Role[] = ['viewer', 'operator', 'security', 'administrator'];

/** Who looks, and whether the daemon answers. */
class Session {
	user = $state('');
	role = $state<Role>('viewer');
	kind = $state('');
	known = $state(false);
	signedOut = $state(false);
	lostSince = $state(0);

	constructor() {
		onAnswer((status) => {
			if (status === 0 || status === 502 || status === 504) this.lostSince ||= Date.now();
			else this.lostSince = 0;
			if (status === 401 && this.known) this.leave();
		});
	}

	may(role: Role): boolean {
		return ORDER.indexOf(this.role) >= ORDER.indexOf(role);
	}

	take(session: { user: string; role: string; kind?: string; csrf?: string | null }): void {
		this.user = session.user;
		this.role = session.role as Role;
		this.kind = session.kind ?? 'session';
		if (session.csrf) setCsrf(session.csrf);
		this.known = true;
		this.signedOut = false;
	}

	/** Asks who we are; without an answer it stays open, so that the page can say what is wrong. */
	async begin(): Promise<void> {
		try {
			this.take(await ask(api.GET('/v1/session', {})));
		} catch (error) {
			if (error instanceof Refused && error.status === 401) this.leave();
			else throw error;
		}
	}

	leave(): void {
		this.known = false;
		this.signedOut = true;
	}
}

export const session = new Session();
