// The built console and the daemon behind one address, as the daemon itself serves them: same headers, nothing else.
import { createReadStream, existsSync, readFileSync, statSync } from 'node:fs';
import { createServer, request as ask } from 'node:http';
import { extname, join, normalize } from 'node:path';

const DIST = new URL('../dist/console/', import.meta.url).pathname;
const PAGES = JSON.parse(readFileSync(new URL('../src/pages.json', import.meta.url), 'utf8'));
const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml', '.woff2': 'font/woff2', '.txt': 'text/plain' };
const POLICY = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'";

/** Asks the daemon over its socket. */
export function daemonAt(socketPath) {
	return (method, path, body) =>
		new Promise((resolve, reject) => {
			const request = ask({ socketPath, method, path, headers: body ? { 'content-type': 'application/json' } : {} }, (answer) => {
				let text = '';
				answer.on('data', (part) => (text += part));
				answer.on('end', () => resolve({ status: answer.statusCode, body: /json/.test(answer.headers['content-type'] ?? '') ? JSON.parse(text) : text }));
			});
			request.on('error', reject);
			request.end(body ? JSON.stringify(body) : undefined);
		});
}

export async function start(socketPath) {
	const server = createServer((request, response) => {
		const path = new URL(request.url, 'http://console').pathname;
		const file = join(DIST, normalize(path));
		const isPage = PAGES.includes(path.split('/')[1]);
		if (isPage || (file.startsWith(DIST) && existsSync(file) && statSync(file).isFile())) {
			const found = isPage ? join(DIST, 'index.html') : file;
			const packed = existsSync(`${found}.gz`);
			response.writeHead(200, { 'content-type': TYPES[extname(found)] ?? 'application/octet-stream', 'content-security-policy': POLICY, ...(packed ? { 'content-encoding': 'gzip' } : {}) });
			createReadStream(packed ? `${found}.gz` : found).pipe(response);
			return;
		}
		const forwarded = ask({ socketPath, method: request.method, path: request.url, headers: request.headers }, (answer) => {
			response.writeHead(answer.statusCode ?? 502, answer.headers);
			answer.pipe(response);
		});
		forwarded.on('error', () => response.writeHead(502).end());
		response.on('close', () => forwarded.destroy());
		request.pipe(forwarded);
	});
	await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
	return { address: `http://127.0.0.1:${server.address().port}`, daemon: daemonAt(socketPath), end: () => server.closeAllConnections() ?? server.close() };
}
