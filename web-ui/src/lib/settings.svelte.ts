export type Theme = 'system' | 'light' | 'dark';
export type Density = 'comfortable' | 'compact';
export type Language = 'en' | 'de';

interface Stored {
	theme: Theme;
	density: Density;
	language: Language;
}

const KEY = 'sluice.settings';

function read(): Stored {
	const language: Language = navigator.language.toLowerCase().startsWith('de') ? 'de' : 'en';
	const defaults: Stored = { theme: 'system', density: 'comfortable', language };
	try {
		return { ...defaults, ...(JSON.parse(localStorage.getItem(KEY) ?? '{}') as Partial<Stored>) };
	} catch {
		return defaults;
	}
}

class Settings {
	theme = $state<Theme>('system');
	density = $state<Density>('comfortable');
	language = $state<Language>('en');
	/** Counts changes of what is drawn with colours: charts draw anew. */
	revision = $state(0);

	constructor() {
		Object.assign(this, read());
		this.apply();
	}

	set(change: Partial<Stored>): void {
		Object.assign(this, change);
		this.apply();
		this.revision += 1;
		try {
			const { theme, density, language } = this;
			localStorage.setItem(KEY, JSON.stringify({ theme, density, language }));
		} catch {
			// Without storage it holds until the page is left.
		}
	}

	private apply(): void {
		const root = document.documentElement;
		if (this.theme === 'system') delete root.dataset.theme;
		else root.dataset.theme = this.theme;
		if (this.density === 'compact') root.dataset.density = 'compact';
		else delete root.dataset.density;
		root.lang = this.language;
	}
}

export const settings = new Settings();
