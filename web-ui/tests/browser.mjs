// Debian's Chromium, watched: a page that complains, asks a third party or breaks its policy fails the check.
import axe from 'axe-core';
import { chromium } from 'playwright-core';

const PROGRAM = process.env.SLUICE_CHROMIUM ?? '/usr/bin/chromium';

export class Browser {
	#browser;
	#address;
	#screenshots;
	#contexts = [];
	#complaints = [];
	#signedIn = new Map();
	#last;

	static async start(address, screenshots) {
		const made = new Browser();
		made.#address = address;
		made.#screenshots = screenshots;
		made.#browser = await chromium.launch({ executablePath: PROGRAM, args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--disable-background-networking'] });
		return made;
	}

	/** A page of a browser of its own, so that no check sees what another left; signed in `as` somebody who was kept. */
	async page({ settings, as, ...options } = {}) {
		const context = await this.#browser.newContext({ storageState: this.#signedIn.get(as), ignoreHTTPSErrors: true, baseURL: this.#address, viewport: { width: 1280, height: 860 }, locale: 'en-GB', colorScheme: 'light', ...options });
		if (settings) await context.addInitScript((stored) => localStorage.setItem('sluice.settings', JSON.stringify(stored)), settings);
		const page = await context.newPage();
		page.setDefaultTimeout(10_000);
		page.on('pageerror', (error) => this.#complaints.push(error.message));
		page.on('console', (message) => {
			// What a check wants, a refusal or a lost connection, is told by the browser as an error too.
			if (message.type() === 'error' && !/the server responded with a status of 4|ERR_INTERNET_DISCONNECTED/.test(message.text())) this.#complaints.push(message.text());
		});
		page.on('request', (request) => {
			if (!request.url().startsWith(this.#address) && !/^(data|blob):/.test(request.url())) this.#complaints.push(`asks somebody else: ${request.url()}`);
		});
		this.#contexts.push(context);
		this.#last = page;
		return page;
	}

	/** Whoever is signed in on this page is it in later ones `as` this. */
	async keep(as, page) {
		const { cookies } = await page.context().storageState();
		this.#signedIn.set(as, { cookies, origins: [] });
	}

	has(as) {
		return this.#signedIn.has(as);
	}

	/** Everything that axe finds against WCAG 2.2 AA. */
	async axe(page) {
		await page.evaluate(axe.source);
		const found = await page.evaluate(() => globalThis.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }));
		return found.violations.map((violation) => `${violation.id} (${violation.nodes.length}): ${violation.nodes[0].target.join(' ')} ${violation.nodes[0].failureSummary.split('\n')[1]?.trim() ?? ''}`);
	}

	async shot(name, page = this.#last) {
		await page?.screenshot({ path: `${this.#screenshots}${name}.png` });
	}

	complain() {
		if (this.#complaints.length > 0) throw new Error(`the page complains: ${this.#complaints.join('; ')}`);
	}

	async done() {
		this.#complaints = [];
		await Promise.all(this.#contexts.splice(0).map((context) => context.close()));
	}

	async end() {
		await this.#browser.close();
	}
}
