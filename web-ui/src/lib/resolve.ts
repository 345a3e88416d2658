import { api, ask, type Schemas } from '../api/client';

type Conflict = Schemas['Conflict'];
type ObjectId = Schemas['ObjectId'];
type FieldChange = Schemas['FieldChange'];
type Any = Record<string, unknown>;

export type Choice = 'mine' | 'theirs';
export const keyOf = (conflict: Conflict) => `${conflict.object.kind}/${conflict.object.name} ${conflict.field}`;

/** `spec.backends[2].weight` as its steps. */
function steps(field: string): (string | number)[] {
	return [...field.matchAll(/([^.[\]]+)|\[(\d+)\]/g)].map((found) => (found[2] === undefined ? (found[1] ?? '') : Number(found[2])));
}

/** The place that a field stands in, and its last step; nothing where the way ends before. */
function place(object: Any, field: string): [Any | unknown[], string | number] | undefined {
	const way = steps(field);
	const last = way.pop();
	let at: unknown = object;
	for (const step of way) {
		if (typeof at !== 'object' || at === null) return undefined;
		(at as Any)[step] ??= {};
		at = (at as Any)[step];
	}
	return last === undefined || typeof at !== 'object' || at === null ? undefined : [at as Any, last];
}

/** The object with these changes. Elements that go are named by their place before, new ones by theirs afterwards. */
export function withFields<T>(object: T, fields: FieldChange[]): T {
	const made = structuredClone(object);
	const gone = (field: FieldChange) => field.after === undefined;
	for (const field of [...fields.filter(gone).reverse(), ...fields.filter((one) => !gone(one))]) {
		const found = place(made as Any, field.field);
		if (!found) continue;
		const [at, last] = found;
		if (Array.isArray(at) && typeof last === 'number') {
			if (gone(field)) at.splice(last, 1);
			else if (field.before === undefined) at.splice(last, 0, field.after);
			else at[last] = field.after;
		} else if (gone(field)) delete (at as Any)[last];
		else (at as Any)[last] = field.after;
	}
	return made;
}

const PATHS = { Service: '/v1/services/{name}', Prefilter: '/v1/prefilters/{name}', Gateway: '/v1/gateways/{name}' } as const;
const path = ({ name }: ObjectId) => ({ path: { name } });

async function running(object: ObjectId): Promise<Any | undefined> {
	const answer = await api.GET(PATHS[object.kind], { params: path(object) });
	if (answer.response.status === 404) return undefined;
	const { status: _, ...rest } = (await ask(Promise.resolve(answer as never))) as Any;
	return rest;
}

/**
 * Settles the conflicts of one object: what is in force, with the fields that the candidate changes, but without those
 * where the other value is chosen. It is sent with the version in force: the daemon knows then that it was seen.
 */
export async function resolve(object: ObjectId, conflicts: Conflict[], choices: Record<string, Choice>, diff: Schemas['Diff'], mine: unknown): Promise<void> {
	const now = await running(object);
	const put = (body: unknown, force = false) => ask(api.PUT(PATHS[object.kind], { params: { ...path(object), query: { candidate: true, force } }, body: body as never }) as never);
	const remove = () => ask(api.DELETE(PATHS[object.kind], { params: { ...path(object), query: { candidate: true } } }) as never);
	const theirs = conflicts.filter((conflict) => choices[keyOf(conflict)] === 'theirs').map((conflict) => conflict.field);
	if (theirs.includes('')) {
		await (now ? put(now) : remove());
		return;
	}
	if (!mine) {
		await remove();
		return;
	}
	if (!now) {
		await put(mine, true);
		return;
	}
	const isTheirs = (field: string) => theirs.some((one) => field === one || field.startsWith(`${one}.`) || field.startsWith(`${one}[`));
	const fields = diff.changed.find((change) => change.object.kind === object.kind && change.object.name === object.name)?.fields ?? [];
	await put(withFields(now, fields.filter((field) => !isTheirs(field.field))));
}
