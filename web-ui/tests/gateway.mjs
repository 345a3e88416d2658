// The gateway beside the browser: as root over its socket, as a program with a token, as a client of its services.
import { readFileSync } from 'node:fs';
import { request as plainly } from 'node:http';
import { Agent, request as securely } from 'node:https';
import { dirname, join } from 'node:path';

export class Gateway {
	#socket;
	#log;

	constructor({ socket, address, log }) {
		this.#socket = socket;
		this.#log = log;
		this.address = address;
		/** Where the daemon reads files from. */
		this.directory = join(dirname(log), 'config');
	}

	/** Asks as root. */
	ask = (method, path, body) => answered(plainly, { socketPath: this.#socket, method, path }, body);

	/** Asks over the network, as a program does. The certificate is the daemon's own, made at its first start. */
	askWithToken(token, method, path, body) {
		const url = new URL(path, this.address);
		const agent = new Agent({ rejectUnauthorized: false });
		return answered(securely, { agent, host: url.hostname, port: url.port, method, path, headers: { authorization: `Bearer ${token}` } }, body);
	}

	/** The link that the daemon printed for who can read its log. */
	setupLink() {
		const found = /https:\/\/\S+\/setup#\S+/.exec(readFileSync(this.#log, 'utf8'));
		if (!found) throw new Error(`there is no set-up link in ${this.#log}`);
		const { pathname, hash } = new URL(found[0]);
		return pathname + hash;
	}

	/** Requests through a service, each over a connection of its own: how many each backend answered. */
	async clients(address, count) {
		const counts = {};
		for (let at = 0; at < count; at += 1) {
			const { headers } = await answered(plainly, { host: address, port: 80, path: '/', agent: false, timeout: 3000 });
			const backend = headers['x-backend'];
			counts[backend] = (counts[backend] ?? 0) + 1;
		}
		return counts;
	}
}

function answered(how, options, body) {
	return new Promise((resolve, reject) => {
		const request = how({ ...options, headers: { ...options.headers, ...(body ? { 'content-type': 'application/json' } : {}) } }, (answer) => {
			let text = '';
			answer.on('data', (part) => (text += part));
			answer.on('end', () => resolve({ status: answer.statusCode, headers: answer.headers, body: /json/.test(answer.headers['content-type'] ?? '') ? JSON.parse(text) : text }));
		});
		request.on('timeout', () => request.destroy(new Error(`no answer from ${options.host}`)));
		request.on('error', reject);
		request.end(body ? JSON.stringify(body) : undefined);
	});
}
