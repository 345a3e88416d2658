// The console in a real browser, at the real daemon in the laboratory. Prints a line per check: PASS, FAIL or SKIP.
// Arguments are parts of names: only those checks run.
import { mkdirSync } from 'node:fs';
import { start as startServer } from './server.mjs';
import { Browser } from './browser.mjs';
import * as checks from './checks.mjs';

const socket = process.env.SLUICE_SOCKET;
if (!socket) {
	console.log('FAIL console: SLUICE_SOCKET does not say where the daemon is: `cargo xtask test console` does');
	process.exit(1);
}
const screenshots = new URL('../screenshots/', import.meta.url).pathname;
mkdirSync(screenshots, { recursive: true });

const server = await startServer(socket);
const browser = await Browser.start(server.address, screenshots);
let failed = 0;
try {
	const wanted = process.argv.slice(2);
	for (const [name, check] of Object.entries(checks)) {
		if (wanted.length > 0 && !wanted.some((part) => name.includes(part))) continue;
		const words = name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
		try {
			const page = await browser.page();
			const said = await check({ browser, page, daemon: server.daemon });
			browser.complain();
			console.log(said?.skip ? `SKIP console: ${words}: ${said.skip}` : `PASS ${words}: ${said ?? 'ok'}`);
		} catch (error) {
			failed += 1;
			const text = error instanceof Error ? error.message : String(error);
			console.log(`FAIL ${words}: ${text.replaceAll('\n', ' | ')}`);
			await browser.shot(`failed-${name}`).catch(() => undefined);
		} finally {
			await browser.done();
		}
	}
} finally {
	await browser.end();
	server.end();
}
process.exit(failed === 0 ? 0 : 1);
