// Looking: what the pages show is what the daemon knows. One function a promise; its name is the promise.
import { assert, named, open, until } from './assert.mjs';

const PAGES = ['/', '/placement', '/services', '/services/dsr4', '/services/new', '/services/dsr4/edit', '/prefilters', '/prefilters?name=denied-clients', '/links', '/events', '/trace', '/changes', '/account', '/users', '/audit', '/system'];
const DOORS = ['/sign-in', '/setup'];

export async function theFirstPaintIsThereWithinASecond({ page }) {
	await page.goto('/');
	await page.getByRole('heading', { level: 1 }).waitFor();
	const paint = await page.evaluate(() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? Infinity);
	assert(paint < 1000, `first paint after ${paint.toFixed(0)} ms`);
	return `${paint.toFixed(0)} ms`;
}

export async function theOverviewShowsWhatTheDaemonCounts({ page, daemon }) {
	await open(page, '/');
	const { body: status } = await daemon('GET', '/v1/status');
	await page.getByText(`revision ${status.revision}`).waitFor();
	await page.getByRole('link', { name: `${status.totals.services} services` }).waitFor();
	await until('traffic is drawn', async () => /[1-9]/.test(await page.locator('.figures dd').first().innerText()));
	await page.getByRole('link', { name: 'denied' }).click();
	await page.waitForURL(/events\?kind=drop&reason=denied/);
	return `${status.totals.services} services, and a number leads to its events`;
}

export async function everyStageOfEveryLinkSaysWhereItRunsAndWhy({ page, daemon }) {
	await open(page, '/placement');
	const { body: status } = await daemon('GET', '/v1/status');
	let asked = 0;
	for (const link of status.gateway.links) {
		const drawing = page.getByRole('group', { name: `The way through ${link.name}` });
		const section = page.locator('section.link', { has: drawing });
		for (const stage of link.stages) {
			await drawing.locator('.host').getByRole('button', { name: stage.stage }).click();
			const text = await section.innerText();
			assert(text.includes(stage.reason), `${link.name} ${stage.stage}: its reason is not shown`);
			for (const other of stage.notChosen ?? []) {
				assert(text.includes(other.reason), `${link.name} ${stage.stage}: why not ${other.placement} is not shown`);
				assert(!other.evidence || text.includes(other.evidence), `${link.name} ${stage.stage}: the evidence about ${other.placement} is not shown`);
				asked += 1;
			}
		}
	}
	assert(asked > 0, 'no placement was ruled out');
	return `${status.gateway.links.length} links, ${asked} reasons`;
}

export async function aSupposedCardMovesStagesAndChangesNothing({ browser, page, daemon }) {
	const before = (await daemon('GET', '/v1/status')).body.revision;
	await open(page, '/placement');
	await page.getByLabel('Which link').selectOption('eth0');
	await page.getByLabel('Which profile').selectOption('nfp');
	await page.getByText('Supposed: nothing has changed.').waitFor();
	const card = page.getByRole('group', { name: 'The way through eth0' }).locator('.card');
	await card.getByRole('button').first().waitFor();
	assert(page.url().includes('profile=nfp'), 'the address does not say what is supposed');
	await browser.shot('placement-supposed', page);
	const stages = await card.getByRole('button').count();
	await page.getByRole('button', { name: 'Back to what is' }).click();
	await page.getByText('Supposed: nothing has changed.').waitFor({ state: 'hidden' });
	assert((await daemon('GET', '/v1/status')).body.revision === before, 'something changed');
	return `${stages} stages on the supposed card`;
}

export async function realRequestsAreCountedOnTheService({ page }) {
	await open(page, '/services');
	const row = page.getByRole('row').filter({ has: page.getByRole('link', { name: 'dsr4', exact: true }) });
	await until('a rate on dsr4', async () => /[1-9][\d.,]*( k)? ?pps/.test(await row.locator('.rate').innerText()));
	await row.getByRole('link').click();
	await page.waitForURL(/services\/dsr4$/);
	const { length } = await until('backends', async () => {
		const rows = await page.locator('section:has(#backends) tbody tr').all();
		return rows.length > 0 && rows;
	});
	return `${length} backends`;
}

export async function theListStandsInTheAddress({ page }) {
	await open(page, '/services?q=nat&sort=backends&dir=desc');
	await page.getByRole('columnheader', { name: 'Backends' }).waitFor();
	assert((await page.getByRole('columnheader', { name: 'Backends' }).getAttribute('aria-sort')) === 'descending', 'the order of the address does not hold');
	const rows = await page.locator('[data-row]').allInnerTexts();
	assert(rows.length > 0 && rows.every((name) => name.includes('nat')), `the filter of the address does not hold: ${rows}`);
	await page.getByRole('searchbox').fill('no such thing');
	await page.getByText('No service fits the filter').waitFor();
	assert(page.url().includes('q=no+such+thing'), 'the filter does not reach the address');
	return `${rows.length} rows`;
}

export async function tenThousandServicesStayQuick({ page, daemon }) {
	const { body: list } = await daemon('GET', '/v1/services');
	const items = Array.from({ length: 10_000 }, (_, index) => ({ ...list.items[index % list.items.length], metadata: { ...list.items[0].metadata, name: `service-${String(index).padStart(5, '0')}` } }));
	const body = JSON.stringify({ revision: list.revision, items });
	await page.route('**/v1/services', (route) => route.fulfill({ contentType: 'application/json', body }));
	await open(page, '/services');
	await page.getByText('10,000').waitFor();
	const rows = await page.locator('[data-row]').count();
	assert(rows < 80, `${rows} rows are in the page`);
	const took = await page.evaluate(async () => {
		const field = document.querySelector('[data-search]');
		const begin = performance.now();
		field.value = '9999';
		field.dispatchEvent(new Event('input', { bubbles: true }));
		await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve, 0)));
		return performance.now() - begin;
	});
	await page.getByRole('link', { name: 'service-09999' }).waitFor();
	assert(took < 500, `a filter took ${took.toFixed(0)} ms`);
	return `${rows} rows in the page, a filter takes ${took.toFixed(0)} ms`;
}

export async function droppedPacketsAppearAsTheyHappen({ browser, page }) {
	await open(page, '/events?kind=drop');
	const rows = page.locator('[data-row]');
	await rows.first().waitFor();
	await rows.first().click();
	const detail = page.getByRole('complementary', { name: 'The event' });
	await detail.getByRole('button', { name: 'denied' }).first().click();
	await page.waitForURL(/reason=denied/);
	await browser.shot('events-detail', page);
	await page.getByRole('button', { name: 'Pause' }).click();
	await page.getByRole('button', { name: /Go on, [1-9]/ }).waitFor({ timeout: 20_000 });
	await page.getByRole('button', { name: /Go on/ }).click();
	await page.getByRole('link', { name: 'Trace such a packet' }).click();
	await page.waitForURL(/\/trace\?/);
	await page.getByText('denied', { exact: true }).first().waitFor();
	return 'paused, filtered by a value, and traced';
}

export async function aTracedPacketNamesItsServiceAndItsWay({ browser, page, daemon }) {
	const { body: service } = await daemon('GET', '/v1/services/dsr4');
	await open(page, '/trace');
	await page.getByLabel('Source').fill('10.10.0.2:41000');
	await page.getByLabel('Destination').fill(`${service.spec.address}:${service.spec.port}`);
	await page.getByRole('button', { name: 'Trace' }).click();
	await page.locator('.way').getByRole('link', { name: 'dsr4' }).waitFor();
	await browser.shot('trace-sent', page);
	return await page.locator('.reason').innerText();
}

export async function theKeyboardReachesEverything({ page }) {
	await open(page, '/services');
	await page.keyboard.press('j');
	await page.keyboard.press('j');
	const second = await page.evaluate(() => document.activeElement?.textContent);
	assert(second === (await page.locator('[data-row]').nth(1).innerText()), `j goes to ${second}`);
	await page.keyboard.press('/');
	assert(await page.evaluate(() => document.activeElement?.hasAttribute('data-search')), '/ does not reach the search');
	await page.keyboard.press('Control+k');
	await page.keyboard.type('plac');
	await page.keyboard.press('Enter');
	await page.waitForURL(/\/placement$/);
	await page.getByRole('heading', { level: 1, name: 'Placement' }).waitFor();
	await page.keyboard.press('g');
	await page.keyboard.press('e');
	await page.waitForURL(/\/events$/);
	return 'rows, search, palette, g and a letter';
}

export async function axeFindsNothingOnAnyPage({ browser }) {
	const found = [];
	const looks = [{ theme: 'light', density: 'comfortable', language: 'en' }, { theme: 'dark', density: 'compact', language: 'de' }];
	const look = async (settings) => {
		const page = await browser.page({ settings, as: 'admin' });
		for (const path of PAGES) {
			await open(page, path);
			found.push(...(await browser.axe(page)).map((text) => `${path} ${settings.theme}: ${text}`));
			await browser.shot(`${named(path)}-${settings.theme}`, page);
		}
	};
	// While one waits for its page, the other is looked at.
	await Promise.all(looks.map(look));
	for (const path of DOORS) {
		const page = await browser.page();
		await open(page, path);
		found.push(...(await browser.axe(page)).map((text) => `${path}: ${text}`));
		await browser.shot(named(path), page);
	}
	assert(found.length === 0, found.join('\n'));
	return `${PAGES.length + DOORS.length} pages, light and dark, English and German`;
}

export async function aPhoneShowsEveryPageWithoutSideways({ browser }) {
	const page = await browser.page({ as: 'admin', viewport: { width: 390, height: 844 } });
	const wide = [];
	for (const path of PAGES) {
		await open(page, path);
		const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
		if (over > 0) wide.push(`${path} by ${over} px`);
		await browser.shot(`${named(path)}-phone`, page);
	}
	assert(wide.length === 0, `wider than the screen: ${wide.join(', ')}`);
	await page.getByRole('button', { name: 'Pages' }).click();
	await page.getByRole('link', { name: 'Services', exact: true }).click();
	await page.waitForURL(/\/services$/);
	return `${PAGES.length} pages at 390 pixels`;
}

export async function aLostDaemonIsSaidAndEventsGoOnAfterwards({ page }) {
	await open(page, '/events?kind=drop');
	await page.locator('[data-row]').first().waitFor();
	await page.context().setOffline(true);
	await page.getByText(/No answer for/).waitFor({ timeout: 15_000 });
	await page.context().setOffline(false);
	await page.getByText(/No answer for/).waitFor({ state: 'hidden', timeout: 15_000 });
	const shown = async () => Number(/(\d+) of/.exec(await page.getByRole('heading', { level: 1 }).innerText())?.[1] ?? 0);
	const before = await shown();
	await until('new events after the connection is back', async () => (await shown()) > before, 20_000);
	const lost = await page.getByText(/events? (was|were) lost/).count();
	assert(lost === 0, 'events were lost that the daemon still has');
	return 'said, and resumed';
}
