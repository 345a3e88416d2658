import { untrack } from 'svelte';

/** The clock of everything that says "since". */
class Clock {
	now = $state(Date.now());

	constructor() {
		setInterval(() => {
			if (!document.hidden) this.now = Date.now();
		}, 1000);
	}
}

export const time = new Clock();

/** An answer that is asked for again and again, while the page is looked at. */
export class Live<T> {
	data = $state.raw<T>();
	error = $state.raw<unknown>();
	/** The data before, for differences. */
	before = $state.raw<T>();
	seconds = $state(0);
	private stopped = false;
	private timer: ReturnType<typeof setTimeout> | undefined;
	private asked = 0;

	/** A question that takes long is asked more seldom: it shall not be the daemon's main work. */
	constructor(
		private readonly question: () => Promise<T>,
		private readonly everyMs: number,
	) {
		document.addEventListener('visibilitychange', this.look);
		void this.refresh();
	}

	private look = () => {
		if (!document.hidden && !this.stopped) void this.refresh();
	};

	refresh = async (): Promise<void> => {
		clearTimeout(this.timer);
		const mine = ++this.asked;
		const begin = performance.now();
		try {
			const data = await this.question();
			if (mine !== this.asked || this.stopped) return;
			const last = untrack(() => this.data);
			this.before = last;
			this.seconds = (begin - this.at) / 1000;
			this.at = begin;
			this.data = data;
			this.error = undefined;
		} catch (error) {
			if (mine !== this.asked || this.stopped) return;
			this.error = error;
		}
		const took = performance.now() - begin;
		if (!this.stopped && !document.hidden && this.everyMs > 0) {
			this.timer = setTimeout(() => void this.refresh(), Math.max(this.everyMs, took * 8));
		}
	};

	private at = 0;

	stop(): void {
		this.stopped = true;
		clearTimeout(this.timer);
		document.removeEventListener('visibilitychange', this.look);
	}
}

/** A {@link Live} answer that ends with the component. With `everyMs` 0 it is asked once. */
export function live<T>(question: () => Promise<T>, everyMs: number): Live<T> {
	const answer = new Live(question, everyMs);
	$effect(() => () => answer.stop());
	return answer;
}
