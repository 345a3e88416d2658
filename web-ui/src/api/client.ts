import createClient, { type Middleware } from 'openapi-fetch';
import type { components, paths } from './schema';

export type Schemas = components['schemas'];
export type ProblemDetails = Schemas['ProblemDetails'];

/** What a refused request said, in the API's words. */
export class Refused extends Error {
	constructor(
		readonly status: number,
		readonly problem: ProblemDetails | undefined,
		text: string,
	) {
		super(problem?.detail ?? text);
	}
}

const secrets = { csrf: '' };

/** The token that unsafe requests carry, told at sign-in. */
export function setCsrf(token: string): void {
	secrets.csrf = token;
}

const listeners = new Set<(status: number) => void>();

/** Is told the status of every answer; 0 when there was none. */
export function onAnswer(listener: (status: number) => void): () => void {
	listeners.add(listener);
	return () => listeners.delete(listener);
}

function tell(status: number): void {
	for (const listener of listeners) listener(status);
}

const door: Middleware = {
	onRequest({ request }) {
		if (request.method !== 'GET' && secrets.csrf) request.headers.set('x-csrf-token', secrets.csrf);
		return request;
	},
	onResponse({ response }) {
		tell(response.status);
	},
	onError() {
		tell(0);
	},
};

export const api = createClient<paths>({ baseUrl: '', credentials: 'same-origin' });
api.use(door);

interface Answer<T> {
	data?: T;
	error?: unknown;
	response: Response;
}

/** The answer's content, or {@link Refused}. */
export async function ask<T>(request: Promise<Answer<T>>): Promise<T> {
	const { data, error, response } = await request;
	if (!response.ok) {
		const problem = isProblem(error) ? error : undefined;
		throw new Refused(response.status, problem, `${response.status} ${response.statusText}`);
	}
	return data as T;
}

function isProblem(value: unknown): value is ProblemDetails {
	return typeof value === 'object' && value !== null && 'detail' in value && 'title' in value;
}

/** The words for any failure. */
export function words(error: unknown): string {
	if (error instanceof Error) return error.message;
	return String(error);
}
