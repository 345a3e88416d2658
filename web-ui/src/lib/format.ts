import { settings } from './settings.svelte';
import { t } from './i18n.svelte';

const PREFIXES = ['', 'k', 'M', 'G', 'T', 'P'];

/** Three digits that count, with a prefix: 1 240 000 is "1.24 M". */
export function si(value: number | null | undefined, unit = ''): string {
	if (value === null || value === undefined || !Number.isFinite(value)) return '–';
	let power = 0;
	let rest = Math.abs(value);
	while (rest >= 999.5 && power < PREFIXES.length - 1) {
		rest /= 1000;
		power += 1;
	}
	const digits = rest >= 100 || rest === 0 || (power === 0 && Number.isInteger(rest)) ? 0 : rest >= 10 ? 1 : 2;
	const number = (value < 0 ? -rest : rest).toLocaleString(settings.language, {
		minimumFractionDigits: digits,
		maximumFractionDigits: digits,
	});
	const suffix = `${PREFIXES[power]}${unit}`;
	return suffix ? `${number} ${suffix}` : number;
}

/** Packets per second. */
export const pps = (value: number | null | undefined) => si(value, 'pps');

/** Bits per second, from bytes per second. */
export const bps = (value: number | null | undefined) => si(value === null || value === undefined ? value : value * 8, 'bit/s');

export function bytes(value: number): string {
	return si(value, 'B');
}

export function percent(fraction: number, digits = 0): string {
	return fraction.toLocaleString(settings.language, {
		style: 'percent',
		minimumFractionDigits: digits,
		maximumFractionDigits: digits,
	});
}

/** How long ago, in the two largest units. */
export function ago(time: string | number, now: number): string {
	return span(Math.max(0, now - new Date(time).getTime()) / 1000);
}

export function span(seconds: number): string {
	const whole = Math.floor(seconds);
	if (whole < 60) return `${whole} s`;
	if (whole < 3600) return `${Math.floor(whole / 60)} min`;
	if (whole < 86_400) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
	return `${Math.floor(whole / 86_400)} d ${Math.floor((whole % 86_400) / 3600)} h`;
}

export function clock(time: string | number): string {
	return new Date(time).toLocaleTimeString(settings.language, { hour12: false });
}

/** In English the order of ISO 8601: the day's and the month's place differ from country to country. */
export function moment(time: string | number): string {
	return new Date(time).toLocaleString(settings.language === 'de' ? 'de' : 'sv', {
		year: 'numeric',
		month: '2-digit',
		day: '2-digit',
		hour: '2-digit',
		minute: '2-digit',
		second: '2-digit',
		hour12: false,
	});
}

/** An address with its port, IPv6 in brackets. */
export function endpoint(address: string, port?: string | number | null): string {
	if (port === undefined || port === null) return address;
	return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

/** A placement in words. */
export function place(placement: string | undefined | null): string {
	return placement ?? t('placement.none');
}

export const onCard = (placement: string | undefined | null) => placement?.startsWith('nic-') ?? false;
