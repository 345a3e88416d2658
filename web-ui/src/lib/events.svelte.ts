import type { Schemas } from '../api/client';

export type Event = Schemas['Event'];
export type EventKind = Schemas['EventKind'];

/** Events that are kept in the page. */
const KEPT = 5000;

/** The daemon's log, live: goes on where it stopped after a lost connection, and counts what is gone. */
export class EventLog {
	list = $state.raw<Event[]>([]);
	lost = $state(0);
	connected = $state(false);
	/** Arrived while the reader looked at a standing list. */
	paused = $state(false);
	waiting = $state(0);
	private held: Event[] = [];
	private source: EventSource | undefined;
	private last = '';
	private batch: Event[] = [];
	private timer: ReturnType<typeof setTimeout> | undefined;

	constructor(private readonly kinds: readonly EventKind[]) {}

	/** A browser sends the id of the last event by itself when it connects again; after an error that ends it we do. */
	open(): void {
		const kinds = this.kinds.length < KINDS.length ? `&kind=${this.kinds.join(',')}` : '';
		const query = (this.last ? `after=${this.last}` : 'from=start') + kinds;
		const source = new EventSource(`/v1/events?${query}`);
		this.source = source;
		source.onopen = () => (this.connected = true);
		source.onerror = () => {
			this.connected = false;
			if (source.readyState === EventSource.CLOSED) this.timer = setTimeout(() => this.open(), 3000);
		};
		const take = (message: MessageEvent<string>) => {
			const event = JSON.parse(message.data) as Event;
			this.last = event.id;
			this.batch.push(event);
			// Thousands a second are drawn ten times a second.
			if (this.batch.length === 1) setTimeout(this.flush, 100);
		};
		for (const kind of this.kinds) source.addEventListener(kind, take);
		source.addEventListener('lost', (message) => (this.lost += (JSON.parse((message as MessageEvent<string>).data) as { lost: number }).lost));
	}

	private flush = () => {
		const batch = this.batch;
		this.batch = [];
		if (this.paused) {
			this.held.push(...batch);
			this.waiting += batch.length;
			if (this.held.length > KEPT) this.held.splice(0, this.held.length - KEPT);
		} else {
			this.list = [...this.list, ...batch].slice(-KEPT);
		}
	};

	pause(): void {
		this.paused = true;
	}

	goOn(): void {
		this.paused = false;
		this.list = [...this.list, ...this.held].slice(-KEPT);
		this.held = [];
		this.waiting = 0;
	}

	close(): void {
		clearTimeout(this.timer);
		this.source?.close();
	}
}

export const KINDS = ['drop', 'flow', 'backend-up', 'backend-down', 'config-applied', 'config-refused', 'config-pending', 'config-confirmed', 'config-returned', 'link-attached', 'link-lost', 'tampering-healed', 'neighbour-lost', 'neighbour-found', 'table-full', 'card-placed', 'card-refused', 'card-lost'] as const satisfies EventKind[];

/** Fails to compile when the API has a kind that is not in the list. */
type Missing = Exclude<EventKind, (typeof KINDS)[number]>;
export const NONE_IS_MISSING: Missing extends never ? true : Missing = true;

/** All but those that packets cause. */
export const SELDOM = KINDS.filter((kind) => kind !== 'drop' && kind !== 'flow');

/** The log for a component; it ends with it. */
export function eventLog(kinds: readonly EventKind[] = KINDS): EventLog {
	const log = new EventLog(kinds);
	log.open();
	$effect(() => () => log.close());
	return log;
}
