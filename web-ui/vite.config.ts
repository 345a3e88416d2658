import { svelte } from '@sveltejs/vite-plugin-svelte';
import { readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { defineConfig, type Plugin } from 'vite';

/** No page may be heavier than this when it is the first one: scripts, styles and fonts, as they are sent. */
const FIRST_LOAD_BYTES = 250 * 1024;
const OUT = 'dist/console';

interface Chunk {
	type: string;
	fileName: string;
	imports?: string[];
	isEntry?: boolean;
	isDynamicEntry?: boolean;
	facadeModuleId?: string | null;
	viteMetadata?: { importedCss: Set<string>; importedAssets: Set<string> };
}

/** Writes a .gz beside each text file, and fails the build when the first load of any page is over the limit. */
function weigh(): Plugin {
	let chunks: Chunk[] = [];
	return {
		name: 'sluice-weigh',
		apply: 'build',
		writeBundle(_, bundle) {
			chunks = Object.values(bundle) as unknown as Chunk[];
		},
		closeBundle() {
			const sizes = new Map<string, number>();
			for (const file of filesBelow(OUT)) {
				const bytes = readFileSync(join(OUT, file));
				let size = bytes.length;
				if (/\.(js|css|html|svg|txt)$/.test(file)) {
					const packed = gzipSync(bytes, { level: 9 });
					if (packed.length < size) {
						writeFileSync(join(OUT, `${file}.gz`), packed);
						size = packed.length;
					}
				}
				sizes.set(file, size);
			}
			const size = (files: Iterable<string>) => [...files].reduce((sum, file) => sum + (sizes.get(file) ?? 0), 0);
			const fonts = [...sizes.keys()].filter((file) => file.endsWith('.woff2'));
			const entry = chunks.find((chunk) => chunk.isEntry);
			const always = new Set(['index.html', 'theme.js', ...fonts]);
			if (entry) needed(entry, chunks, always);
			let heaviest = { page: '', bytes: 0 };
			for (const page of chunks.filter((chunk) => chunk.facadeModuleId?.includes('/src/pages/'))) {
				const files = new Set(always);
				needed(page, chunks, files);
				const uplot = chunks.find((chunk) => chunk.facadeModuleId?.endsWith('/ui/plot.ts'));
				if (uplot) needed(uplot, chunks, files);
				const bytes = size(files);
				if (bytes > heaviest.bytes) heaviest = { page: page.facadeModuleId?.split('/').pop() ?? '', bytes };
			}
			const kib = (bytes: number) => `${(bytes / 1024).toFixed(1)} KiB`;
			console.log(`first load: ${kib(size(always))} before a page, ${kib(heaviest.bytes)} with the heaviest (${heaviest.page})`);
			if (heaviest.bytes > FIRST_LOAD_BYTES || heaviest.bytes === 0) {
				throw new Error(`${heaviest.page} needs ${kib(heaviest.bytes)} at first load; the limit is ${kib(FIRST_LOAD_BYTES)}`);
			}
		},
	};
}

function needed(chunk: Chunk, chunks: Chunk[], files: Set<string>): void {
	if (files.has(chunk.fileName)) return;
	files.add(chunk.fileName);
	chunk.viteMetadata?.importedCss.forEach((file) => files.add(file));
	for (const name of chunk.imports ?? []) {
		const next = chunks.find((other) => other.fileName === name);
		if (next) needed(next, chunks, files);
	}
}

function filesBelow(folder: string, prefix = ''): string[] {
	return readdirSync(folder).flatMap((name) => {
		const path = join(folder, name);
		return statSync(path).isDirectory() ? filesBelow(path, `${prefix}${name}/`) : [`${prefix}${name}`];
	}).filter((file) => !file.endsWith('.gz'));
}

/** The licences of what ends up in the files. */
function licences(): Plugin {
	return {
		name: 'sluice-licences',
		apply: 'build',
		generateBundle() {
			const texts = ['svelte', 'uplot', 'openapi-fetch', '@lucide/svelte', '@fontsource/ibm-plex-sans', '@fontsource/ibm-plex-mono'].map((name) => {
				const folder = join('node_modules', name);
				const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
				return `${name}\n\n${file ? readFileSync(join(folder, file), 'utf8') : 'see its package'}\n`;
			});
			this.emitFile({ type: 'asset', fileName: 'licences.txt', source: texts.join(`\n${'-'.repeat(72)}\n\n`) });
		},
	};
}

/** For development: `SLUICE_SOCKET` or `SLUICE_SERVER` say where the daemon is. */
const daemon = process.env.SLUICE_SOCKET
	? { socketPath: process.env.SLUICE_SOCKET, host: 'localhost' }
	: process.env.SLUICE_SERVER;
const proxied = daemon
	? Object.fromEntries(
			['/v1', '/openapi.json', '/metrics', '/healthz', '/readyz'].map((path) => [
				path,
				{ target: daemon as never, secure: false },
			]),
		)
	: undefined;

export default defineConfig({
	plugins: [svelte(), licences(), weigh()],
	build: {
		outDir: OUT,
		emptyOutDir: true,
		target: 'es2022',
		assetsInlineLimit: 0,
		modulePreload: { polyfill: false },
		reportCompressedSize: false,
	},
	server: { proxy: proxied },
	preview: { proxy: proxied },
});
