// The console in a real browser, at the real daemon in the laboratory. Prints a line per check: PASS, FAIL or SKIP.
// Arguments are parts of names: only those checks run.
import { mkdirSync, readFileSync } from 'node:fs';
import { Browser } from './browser.mjs';
import { Gateway } from './gateway.mjs';
import * as watching from './watching.mjs';
import * as access from './access.mjs';
import * as changing from './changing.mjs';

const { SLUICE_SOCKET: socket, SLUICE_SERVER: address, SLUICE_DAEMON_LOG: log } = process.env;
if (!socket || !address || !log) {
	console.log('FAIL console: SLUICE_SOCKET, SLUICE_SERVER and SLUICE_DAEMON_LOG do not say where the daemon is: `cargo xtask test console` does');
	process.exit(1);
}
const screenshots = new URL('../screenshots/', import.meta.url).pathname;
mkdirSync(screenshots, { recursive: true });

const gateway = new Gateway({ socket, address, log });
const browser = await Browser.start(address, screenshots);
/** The checks of a file as they stand in it: modules sort their names, and later checks build on what earlier ones made. */
function story(module, file) {
	const text = readFileSync(new URL(file, import.meta.url), 'utf8');
	const place = ([name]) => text.indexOf(`function ${name}(`);
	return Object.entries(module).sort((one, other) => place(one) - place(other));
}

// The link first: without an administrator there is nothing to look at.
const link = access.theOneTimeLinkMakesTheFirstAdministrator;
const checks = [...story(access, './access.mjs'), ...story(watching, './watching.mjs'), ...story(changing, './changing.mjs')];
const wanted = process.argv.slice(2);
let failed = 0;
try {
	for (const [name, check] of checks) {
		const first = check === link;
		if (!first && wanted.length > 0 && !wanted.some((part) => name.includes(part))) continue;
		const words = name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
		const begin = Date.now();
		try {
			const page = await browser.page({ as: first ? undefined : 'admin' });
			const said = await check({ browser, page, gateway, daemon: gateway.ask });
			browser.complain();
			console.log(`PASS ${words}: ${said ?? 'ok'} (${((Date.now() - begin) / 1000).toFixed(1)} s)`);
		} catch (error) {
			failed += 1;
			const text = error instanceof Error ? error.message : String(error);
			console.log(`FAIL ${words}: ${text.replaceAll('\n', ' | ')}`);
			await browser.shot(`failed-${name}`).catch(() => undefined);
			// Without it everything else would fail for the same reason.
			if (first) break;
		} finally {
			await browser.done();
		}
	}
} finally {
	await browser.end();
}
process.exit(failed === 0 ? 0 : 1);
