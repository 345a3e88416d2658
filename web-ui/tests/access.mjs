// Who may do what: the one-time link, signing in, roles, users, tokens, the audit log.
import { createHmac } from 'node:crypto';
import { assert, open, ROLES, until } from './assert.mjs';

const PASSWORD = 'a long laboratory password';

export async function theOneTimeLinkMakesTheFirstAdministrator({ browser, page, gateway }) {
	await page.goto('/services');
	await page.waitForURL(/\/sign-in\?to=/);
	await page.getByText('There is no administrator yet').waitFor();
	const link = gateway.setupLink();
	await page.goto(`${link.slice(0, -4)}fake`);
	await fillSetup(page);
	await page.getByRole('alert').waitFor();
	await page.goto('about:blank');
	await page.goto(link);
	await browser.shot('set-up', page);
	await fillSetup(page);
	await inside(page, 'admin');
	assert(!page.url().includes('#'), 'the token stays in the address');
	await browser.keep('admin', page);
	const again = await browser.page();
	await again.goto(link);
	await again.getByText('This gateway is set up.').waitFor();
	return 'it works once, with the right token';
}

/** The console has let somebody in. */
const inside = (page, user) => page.locator('summary').filter({ hasText: user }).waitFor();

async function fillSetup(page) {
	await page.getByLabel('User').fill('admin');
	await page.getByLabel('Password', { exact: true }).fill(PASSWORD);
	await page.getByLabel('Password again').fill(PASSWORD);
	await page.getByRole('button', { name: 'Make the administrator' }).click();
}

async function signIn(page, user, password = PASSWORD) {
	await page.getByLabel('User').fill(user);
	await page.getByLabel('Password').fill(password);
	await page.getByRole('button', { name: 'Sign in' }).click();
}

/** A page of somebody with this role, who is made when nobody has it yet. */
async function pageOf(browser, daemon, role) {
	const name = `the-${role}`;
	if (!browser.has(name)) {
		const { status, body } = await daemon('POST', '/v1/users', { name, role, password: PASSWORD });
		assert(status === 201 || status === 409, `${name} is not added: ${body.detail}`);
		const page = await browser.page();
		await page.goto('/sign-in');
		await signIn(page, name);
		await inside(page, name);
		await browser.keep(name, page);
	}
	return browser.page({ as: name });
}

/** RFC 6238, as an authenticator app does it. */
function codeOf(secret, moment) {
	const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
	const bits = [...secret.replaceAll(' ', '')].map((letter) => alphabet.indexOf(letter).toString(2).padStart(5, '0')).join('');
	const key = Buffer.from(bits.match(/.{8}/g).map((byte) => Number.parseInt(byte, 2)));
	const counter = Buffer.alloc(8);
	counter.writeBigUInt64BE(BigInt(Math.floor(moment / 30_000)));
	const tag = createHmac('sha1', key).update(counter).digest();
	return String((tag.readUInt32BE(tag[19] & 15) & 0x7fffffff) % 1_000_000).padStart(6, '0');
}

export async function signingInAsksForTheCodeThatOneChoseToNeed({ browser, daemon }) {
	const page = await pageOf(browser, daemon, 'operator');
	await open(page, '/account');
	await page.getByLabel('Your password', { exact: true }).and(page.locator('input')).fill(PASSWORD);
	await page.getByRole('button', { name: 'Make a key' }).click();
	const secret = await page.locator('code.key').innerText();
	const now = Date.now();
	await page.getByLabel('Code of the authenticator app').fill(codeOf(secret, now));
	await page.getByRole('button', { name: 'Switch on' }).click();
	await page.getByText('Codes are switched on.').waitFor();
	const door = await browser.page();
	await door.goto('/sign-in?to=/services');
	await signIn(door, 'the-operator');
	const code = door.getByLabel('Code of the authenticator app');
	await code.fill('000000');
	await door.getByRole('button', { name: 'Sign in' }).click();
	await door.getByRole('alert').waitFor();
	// A code works once: the next one is taken already.
	await code.fill(codeOf(secret, now + 30_000));
	await door.getByRole('button', { name: 'Sign in' }).click();
	await door.waitForURL(/\/services$/);
	await daemon('DELETE', '/v1/users/the-operator/totp');
	return 'a key, a wrong code, the right one';
}

export async function whoSignsOutIsOutAndOtherSessionsCanBeEnded({ browser, daemon }) {
	await pageOf(browser, daemon, 'viewer');
	const [one, other] = [await browser.page(), await browser.page()];
	for (const page of [one, other]) {
		await page.goto('/sign-in?to=/account');
		await signIn(page, 'the-viewer');
		await page.getByRole('heading', { level: 1, name: 'Your account' }).waitFor();
	}
	const rows = one.getByRole('row').filter({ hasText: 'the-viewer' });
	const before = await until('three sessions', async () => (await rows.count()) >= 3 && (await rows.count()));
	// The newest but one's own is the other page's.
	await rows.filter({ has: one.getByRole('button') }).last().getByRole('button').click();
	await one.getByText('The session is ended.').waitFor();
	await other.waitForURL(/\/sign-in/, { timeout: 20_000 });
	await one.locator('summary').filter({ hasText: 'the-viewer' }).click();
	await one.getByRole('button', { name: 'Sign out' }).click();
	await one.waitForURL(/\/sign-in/);
	const { body } = await daemon('GET', '/v1/sessions');
	assert(body.items.filter((session) => session.user === 'the-viewer').length === before - 2, 'a session is left');
	return `${before} sessions, two ended`;
}

/** What a page offers, by the role from which on. */
const OFFERS = [
	['/services', 'New service', 'operator'],
	['/services/dsr4', /^Drain/, 'operator'],
	['/services/dsr4', 'Edit', 'operator'],
	['/services/dsr4', 'Delete', 'operator'],
	['/services/new', 'Add to my changes', 'operator'],
	['/prefilters', 'New prefilter', 'security'],
	['/audit', 'Check the chain', 'security'],
	['/changes', /^Roll back/, 'administrator'],
	['/users', 'Make a token', 'administrator'],
	['/system', 'Download a backup', 'administrator'],
	['/', 'Users and tokens', 'administrator'],
	['/', 'Audit log', 'security'],
	['/system', 'Download as YAML', 'viewer'],
	['/placement', 'Links and capabilities', 'viewer'],
	['/links', 'Placement', 'viewer'],
	['/events', 'Pause', 'viewer'],
	['/trace', 'Trace', 'viewer'],
	['/account', 'Set the password', 'viewer'],
];

export async function everyPageOffersWhatTheRoleMayDoAndSaysWhyNotMore({ browser, daemon }) {
	for (const role of ROLES) {
		const page = await pageOf(browser, daemon, role);
		const refused = [];
		page.on('response', (answer) => {
			if (answer.status() === 403) refused.push(`${page.url()} asked ${answer.url()}`);
		});
		for (const path of new Set(OFFERS.map(([path]) => path))) {
			await open(page, path);
			const lacks = [];
			for (const [, name, from] of OFFERS.filter((offer) => offer[0] === path)) {
				const exact = typeof name === 'string';
				const there = (await page.getByRole('button', { name, exact }).count()) + (await page.getByRole('link', { name, exact }).count()) > 0;
				const should = ROLES.indexOf(role) >= ROLES.indexOf(from);
				assert(there === should, `${role}: ${name} on ${path} is ${there ? '' : 'not '}offered`);
				if (!should && path !== '/') lacks.push(from);
			}
			for (const from of new Set(lacks)) {
				assert((await page.getByText(`needs the role ${from}; yours is ${role}.`).count()) > 0, `${role}: ${path} does not say that it needs ${from}`);
			}
		}
		if (role === 'viewer') await browser.shot('changes-viewer', page);
		assert(refused.length === 0, `${role}: a page asked for what the role may not have: ${refused}`);
	}
	return `${ROLES.length} roles, ${OFFERS.length} offers`;
}

export async function usersAndTokensAreMadeAndEndAndTheAuditLogTellsIt({ browser, page, gateway }) {
	await open(page, '/users');
	const form = page.locator('form').filter({ has: page.getByRole('button', { name: 'Add the user' }) });
	await form.getByLabel('User').fill('ada');
	await form.getByLabel('Role').selectOption('operator');
	await form.getByLabel('Password').fill(PASSWORD);
	await form.getByRole('button').click();
	await page.getByText('ada is added.').waitFor();
	await page.getByLabel('Role of ada').selectOption('security');
	await page.getByText('ada is changed.').waitFor();

	await page.getByLabel('What for').fill('monitoring');
	await page.getByRole('button', { name: 'Make a token' }).click();
	const secret = await page.locator('.secret code').innerText();
	await browser.shot('users', page);
	const ask = (method, path, body) => gateway.askWithToken(secret, method, path, body);
	assert((await ask('GET', '/v1/status')).status === 200, 'the token opens nothing');
	assert((await ask('DELETE', '/v1/services/dsr4')).status === 403, 'a viewer’s token deletes services');
	const row = page.getByRole('row').filter({ hasText: 'monitoring' });
	await row.getByRole('button', { name: /^Delete/ }).click();
	await page.getByText('Token monitoring is removed.').waitFor();
	assert((await ask('GET', '/v1/status')).status === 401, 'the token opens something after its end');
	await page.getByRole('row').filter({ hasText: 'ada' }).getByRole('button', { name: /^Delete/ }).click();
	await page.getByText('ada is removed.').waitFor();

	await open(page, '/audit');
	const told = page.getByRole('row');
	await told.filter({ hasText: 'PATCH /v1/users/ada' }).filter({ hasText: 'admin' }).filter({ hasText: 'allowed' }).waitFor();
	await told.filter({ hasText: 'DELETE /v1/services/dsr4' }).filter({ hasText: 'monitoring' }).filter({ hasText: 'refused' }).waitFor();
	await told.filter({ hasText: 'PATCH /v1/users/ada' }).getByRole('button').click();
	await page.getByText(/"role":"operator"/).waitFor();
	await page.getByRole('button', { name: 'Check the chain' }).click();
	await page.getByText(/\d+ records, whole/).waitFor();
	await browser.shot('audit', page);
	return /\d+ records, whole/.exec(await page.getByText(/\d+ records, whole/).innerText())?.[0];
}
