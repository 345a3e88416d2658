import { api, ask, type Schemas } from '../api/client';

export type Span = '5m' | '1h' | '24h' | '7d';
export const SPANS: Record<Span, { step: '1s' | '1m'; count: number; everyMs: number }> = {
	'5m': { step: '1s', count: 300, everyMs: 1000 },
	'1h': { step: '1s', count: 3600, everyMs: 5000 },
	'24h': { step: '1m', count: 1440, everyMs: 30_000 },
	'7d': { step: '1m', count: 10_080, everyMs: 60_000 },
};

export type Rates = Schemas['SeriesAnswer'];

export function series(names: string[], span: Span = '5m'): Promise<Rates> {
	const { step, count } = SPANS[span];
	return ask(api.GET('/v1/series', { params: { query: { name: names.join(','), step, count } } }));
}

/** The moments of the values, in seconds. */
export function times(rates: Rates | undefined): number[] {
	if (!rates) return [];
	const step = rates.step === '1m' ? 60 : 1;
	return Array.from({ length: rates.series[0]?.values.length ?? 0 }, (_, index) => rates.begin + index * step);
}

export function values(rates: Rates | undefined, name: string, factor = 1): (number | null)[] {
	const found = rates?.series.find((one) => one.name === name);
	return found?.values.map((value) => (typeof value === 'number' ? value * factor : null)) ?? times(rates).map(() => null);
}

/** The last value: what is going on now. A mean of three seconds, so that numbers can be read. */
export function latest(rates: Rates | undefined, name: string): number | undefined {
	const found = rates?.series.find((one) => one.name === name);
	const last = found?.values.slice(-3).filter((value): value is number => typeof value === 'number') ?? [];
	return last.length > 0 ? last.reduce((sum, value) => sum + value, 0) / last.length : undefined;
}
