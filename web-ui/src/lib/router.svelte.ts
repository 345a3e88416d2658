import pages from '../pages.json';

/** Where we are: the address is the state, so that it can be sent to somebody. */
class Route {
	path = $state(location.pathname);
	query = $state(new URLSearchParams(location.search));

	get page(): string {
		return this.path.split('/')[1] ?? '';
	}

	/** What stands behind the page, decoded. */
	get rest(): string[] {
		return this.path.split('/').slice(2).filter(Boolean).map(decodeURIComponent);
	}

	read(): void {
		this.path = location.pathname;
		this.query = new URLSearchParams(location.search);
	}

	get(name: string): string {
		return this.query.get(name) ?? '';
	}

	all(name: string): string[] {
		return this.query.getAll(name);
	}

	/** Changes parameters in place; an empty value takes one away. */
	set(changes: Record<string, string | string[] | undefined>): void {
		const query = new URLSearchParams(this.query);
		for (const [name, value] of Object.entries(changes)) {
			query.delete(name);
			for (const one of Array.isArray(value) ? value : value ? [value] : []) query.append(name, one);
		}
		const text = query.toString();
		history.replaceState(null, '', this.path + (text ? `?${text}` : ''));
		this.query = query;
	}
}

export const route = new Route();

export function go(href: string): void {
	if (href === location.pathname + location.search) return;
	history.pushState(null, '', href);
	route.read();
	window.scrollTo(0, 0);
}

function isPage(href: string): boolean {
	return pages.includes(href.split('/')[1]?.split(/[?#]/)[0] ?? '-');
}

/** Links inside the console change the page without loading it anew. */
export function startRouting(): () => void {
	const click = (event: MouseEvent) => {
		if (event.defaultPrevented || event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
		const link = (event.target as Element | null)?.closest('a');
		const href = link?.getAttribute('href');
		if (!link || !href?.startsWith('/') || link.target || link.hasAttribute('download') || !isPage(href)) return;
		event.preventDefault();
		go(href);
	};
	const back = () => route.read();
	document.addEventListener('click', click);
	window.addEventListener('popstate', back);
	return () => {
		document.removeEventListener('click', click);
		window.removeEventListener('popstate', back);
	};
}
