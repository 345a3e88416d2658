import { api, ask, onAnswer, Refused, setCsrf, type Schemas } from '../api/client';
import { ROLES, type Role } from './access';

/** Who looks, and whether the daemon answers. */
class Session {
	user = $state('');
	role = $state<Role>('viewer');
	kind = $state('');
	readOnly = $state(false);
	/** When the session ends, however busy it is. */
	expires = $state('');
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
		if (this.readOnly && role !== 'viewer') return false;
		return ROLES.indexOf(this.role) >= ROLES.indexOf(role);
	}

	take(session: Schemas['Session']): void {
		this.user = session.user;
		this.role = session.role;
		this.kind = session.kind;
		this.readOnly = session.readOnly ?? false;
		this.expires = session.expires ?? '';
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
