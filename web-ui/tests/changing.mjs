// Changing: everything goes through the candidate, and there is always a way back. Told in order: what is made first is changed later.
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { assert, open, until } from './assert.mjs';

const SERVICE = 'from-the-console';
const ADDRESS = '192.0.2.77';

export async function theFormSaysWhatTheDaemonWouldRefuse({ browser, page, daemon }) {
	const before = (await daemon('GET', '/v1/status')).body.revision;
	await open(page, '/services/new');
	await page.getByLabel('Name').fill('from-the-console');
	await page.getByLabel('Virtual address').fill('192.0.2');
	const wrong = page.locator('#f-address-wrong');
	await wrong.waitFor();
	const said = await wrong.innerText();
	assert(/192\.0\.2/.test(said), `not the daemon's words: ${said}`);
	await browser.shot('service-form-wrong', page);
	await page.getByLabel('Virtual address').fill('192.0.2.77');
	await page.getByLabel('Backend address 1').fill('10.10.1.2');
	await page.getByText('The daemon finds nothing wrong.').waitFor();
	assert((await daemon('GET', '/v1/status')).body.revision === before, 'a check changed something');
	return said;
}

/** Commits what waits; `seconds` to confirm, or none. */
async function commit(page, { seconds, message } = {}) {
	const confirm = page.getByLabel('Return unless I confirm');
	await confirm.setChecked(seconds !== undefined);
	if (seconds !== undefined) await page.getByLabel('Seconds to confirm').fill(String(seconds));
	if (message) await page.getByLabel('What it is for').fill(message);
	await page.getByRole('button', { name: 'Commit', exact: true }).click();
}

const barOf = (page) => page.getByRole('region', { name: 'A commit waits to be confirmed' });
const backendsOf = (page) => page.locator('section:has(#backends) tbody tr');

export async function aServiceMadeInTheConsoleServesRealRequests({ browser, page, gateway }) {
	await open(page, '/services/new');
	await page.getByLabel('Name').fill(SERVICE);
	await page.getByLabel('Virtual address').fill(ADDRESS);
	await page.getByLabel('Mode').selectOption('nat');
	await page.getByRole('button', { name: 'Add a backend' }).click();
	for (const at of [1, 2]) {
		await page.getByLabel(`Backend address ${at}`).fill(`10.10.${at}.2`);
		await page.getByLabel(`Port ${at}`, { exact: true }).fill('8080');
	}
	await page.getByText('The daemon finds nothing wrong.').waitFor();
	await browser.shot('service-form', page);
	await page.getByRole('button', { name: 'Add to my changes' }).click();
	await page.waitForURL(/\/changes$/);
	await page.getByRole('button', { name: 'Check and plan' }).click();
	await page.getByText('Valid: this can be committed.').waitFor();
	await browser.shot('changes-plan', page);
	await commit(page, { message: 'a service made in the console' });
	await page.getByText(/Revision \d+ is in force/).waitFor();
	await open(page, `/services/${SERVICE}`);
	await until('both backends are up', async () => (await backendsOf(page).locator('.state').filter({ hasText: 'up' }).count()) === 2);
	const counts = await gateway.clients(ADDRESS, 40);
	assert(counts.b1 > 0 && counts.b2 > 0, `not both backends answer: ${JSON.stringify(counts)}`);
	// What the page shows are rates: requests go on until it shows them.
	const rates = backendsOf(page).first().locator('td').nth(4);
	await until('the requests are counted on the page', async () => {
		await gateway.clients(ADDRESS, 20);
		return /[1-9]/.test(await rates.innerText());
	});
	await browser.shot('service-made', page);
	return `40 requests, b1 ${counts.b1} and b2 ${counts.b2}`;
}

export async function aBackendIsDrainedByOneClickAndGetsNoNewRequests({ browser, page, gateway }) {
	await open(page, `/services/${SERVICE}`);
	const first = backendsOf(page).filter({ hasText: '10.10.1.2' });
	await first.getByRole('button', { name: /^Drain/ }).click();
	await page.getByRole('link', { name: 'Review and commit' }).click();
	await page.getByRole('insertion').filter({ hasText: 'drain' }).waitFor();
	await browser.shot('changes-candidate', page);
	assert((await gateway.clients(ADDRESS, 40)).b1 > 0, 'it drains before the commit');
	await commit(page, { seconds: 60, message: 'drain for a test' });
	const bar = barOf(page);
	await bar.waitFor();
	for (const path of ['/', '/placement', '/changes']) {
		await page.goto(path);
		await bar.waitFor();
	}
	await page.getByText('drain for a test').waitFor();
	await browser.shot('confirm-bar', page);
	await bar.getByRole('button', { name: 'Keep it' }).click();
	await bar.waitFor({ state: 'hidden' });
	await page.goto(`/services/${SERVICE}`);
	await first.locator('.state').filter({ hasText: 'draining' }).waitFor();
	const counts = await gateway.clients(ADDRESS, 40);
	assert(!counts.b1 && counts.b2 === 40, `a drained backend gets new connections: ${JSON.stringify(counts)}`);
	await first.getByRole('button', { name: /^Undrain/ }).click();
	await page.getByRole('link', { name: 'Review and commit' }).click();
	await commit(page);
	await until('it serves again', async () => (await gateway.clients(ADDRESS, 20)).b1 > 0);
	return 'drained, confirmed on another page, undrained';
}

const weightOf = async (daemon) => (await daemon('GET', `/v1/services/${SERVICE}`)).body.spec.backends[0].weight;

export async function whatIsNotConfirmedReturns({ page, daemon }) {
	const before = await weightOf(daemon);
	await open(page, `/services/${SERVICE}`);
	const weight = page.getByLabel(/^Weight of/).first();
	await weight.fill('7');
	await weight.press('Enter');
	await page.getByRole('link', { name: 'Review and commit' }).click();
	await commit(page, { seconds: 4 });
	const bar = barOf(page);
	await bar.waitFor();
	assert((await weightOf(daemon)) === 7, 'the weight is not in force');
	await bar.waitFor({ state: 'hidden', timeout: 15_000 });
	const after = await weightOf(daemon);
	assert(after === before, `the weight is ${after}, and was ${before}`);
	await page.getByText('returned').first().waitFor();
	return `the weight is ${after} again`;
}

export async function aCommitCanBeTakenBackAtOnce({ page, daemon }) {
	const before = await weightOf(daemon);
	await open(page, `/services/${SERVICE}`);
	const weight = page.getByLabel(/^Weight of/).first();
	await weight.fill('9');
	await weight.press('Enter');
	await page.getByRole('link', { name: 'Review and commit' }).click();
	await commit(page, { seconds: 60 });
	const bar = barOf(page);
	await bar.getByRole('button', { name: 'Return now' }).click();
	await bar.waitFor({ state: 'hidden' });
	const after = await weightOf(daemon);
	assert(after === before, `the weight is ${after}, and was ${before}`);
	return `the weight is ${after} again`;
}

export async function whatIsBrokenIsSaidAndChangesNothing({ browser, page, daemon, gateway }) {
	const before = (await daemon('GET', '/v1/status')).body.revision;
	// A second service at the address of the first.
	await daemon('DELETE', '/v1/candidate');
	await open(page, '/services/new');
	await page.getByLabel('Name').fill('twice');
	await page.getByLabel('Virtual address').fill(ADDRESS);
	await page.getByLabel('Backend address 1').fill('10.10.3.2');
	await page.getByRole('button', { name: 'Add to my changes' }).click();
	await page.waitForURL(/\/changes$/);
	await page.getByRole('button', { name: 'Check and plan' }).click();
	await page.getByText(/^Not valid: \d+ problem/).waitFor();
	const said = await page.locator('.candidate li.wrong').first().innerText();
	assert(said.includes(SERVICE) || said.includes(ADDRESS), `it does not say with whom it collides: ${said}`);
	await browser.shot('changes-broken', page);
	await page.getByRole('button', { name: 'Commit', exact: true }).click();
	await page.getByRole('alert').filter({ hasText: 'twice' }).waitFor();
	await page.getByRole('button', { name: 'Discard' }).click();
	await page.getByText('Nothing is waiting').waitFor();
	// A file of the directory that cannot be read.
	const file = join(gateway.directory, 'broken.yaml');
	const told = page.getByRole('listitem').filter({ hasText: 'A configuration file is broken.' }).filter({ hasText: /broken\.yaml.*adress/ });
	writeFileSync(file, 'apiVersion: sluice.dev/v1\nkind: Service\nmetadata: {name: from-a-file}\nspec: {adress: 192.0.2.9}\n');
	try {
		await open(page, '/');
		await told.waitFor({ timeout: 20_000 });
	} finally {
		rmSync(file);
	}
	await told.waitFor({ state: 'hidden', timeout: 20_000 });
	assert((await daemon('GET', '/v1/status')).body.revision === before, 'something changed');
	return said;
}

export async function twoEditorsSettleTheirConflictFieldByField({ browser, page, daemon }) {
	// The other editor is root, who works at the socket.
	const patch = (backends) => daemon('PATCH', `/v1/services/${SERVICE}?candidate=true`, { spec: { backends } });
	const { body: service } = await daemon('GET', `/v1/services/${SERVICE}`);
	await daemon('DELETE', '/v1/candidate');
	const [one, two] = service.spec.backends;
	await patch([{ ...one, weight: 3 }, { ...two, weight: 5 }]);
	await open(page, `/services/${SERVICE}`);
	const weight = page.getByLabel(/^Weight of/).first();
	await weight.fill('2');
	await weight.press('Enter');
	await page.getByRole('link', { name: 'Review and commit' }).click();
	const others = page.locator('section:has(#others)');
	await others.getByText('root').first().waitFor();
	await others.getByText('root wants 3 there, you 2.').waitFor();
	const { status, body: done } = await daemon('POST', '/v1/candidate/commit', { message: 'the other editor' });
	assert(status === 200, `the other editor cannot commit: ${done.detail}`);
	const conflict = page.getByRole('group', { name: /spec\.backends\[0\]\.weight/ });
	await conflict.waitFor();
	assert(await page.getByRole('button', { name: 'Commit', exact: true }).isDisabled(), 'a conflict can be committed');
	await browser.shot('changes-conflict', page);
	await conflict.getByLabel('yours').check();
	await page.getByRole('button', { name: 'Settle the conflicts' }).click();
	await conflict.waitFor({ state: 'hidden' });
	await commit(page, { message: 'settled' });
	await until('both changes are in force', async () => {
		const { body } = await daemon('GET', `/v1/services/${SERVICE}`);
		return body.spec.backends[0].weight === 2 && body.spec.backends[1].weight === 5;
	});
	return 'one field chosen, the other editor’s other field kept';
}

export async function anEarlierRevisionComesBackFromTheHistory({ browser, page, daemon }) {
	await open(page, '/changes');
	const settled = page.getByRole('row').filter({ hasText: 'settled' });
	await settled.getByRole('link').click();
	await page.getByRole('deletion').filter({ hasText: '3' }).waitFor();
	await browser.shot('changes-history', page);
	const other = page.getByRole('row').filter({ hasText: 'the other editor' });
	const number = await other.getByRole('link').innerText();
	await other.getByRole('button', { name: /^Roll back/ }).click();
	await barOf(page).getByRole('button', { name: 'Keep it' }).click();
	await barOf(page).waitFor({ state: 'hidden' });
	await page.getByText(`= ${number}`, { exact: true }).waitFor();
	const { body } = await daemon('GET', `/v1/services/${SERVICE}`);
	assert(body.spec.backends[0].weight === 3, `the weight is ${body.spec.backends[0].weight}`);
	return `revision ${number} is in force again`;
}
