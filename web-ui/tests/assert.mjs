export function assert(holds, text) {
	if (!holds) throw new Error(text);
}

/** Asks again until it is so. */
export async function until(what, question, patience = 15_000) {
	const end = Date.now() + patience;
	for (;;) {
		const found = await question();
		if (found) return found;
		if (Date.now() > end) throw new Error(`${what}: not within ${patience / 1000} s`);
		await new Promise((resolve) => setTimeout(resolve, 200));
	}
}

/** The page has got its answer: its heading is there, and nothing waits. */
export async function open(page, path) {
	await page.goto(path);
	await page.getByRole('heading', { level: 1 }).waitFor();
	// Live answers come within the first second; what comes later only changes numbers.
	await page.waitForTimeout(500);
}

export const named = (path) => path.slice(1).replaceAll(/[\/?=]/g, '-') || 'overview';
export const ROLES = ['viewer', 'operator', 'security', 'administrator'];
