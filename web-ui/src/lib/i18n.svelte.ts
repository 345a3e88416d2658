import en from '../messages/en';
import { settings, type Language } from './settings.svelte';

export type Key = keyof typeof en;
type Messages = Record<Key, string>;
type Values = Record<string, string | number>;

const loaded = $state<{ messages: Messages }>({ messages: en });

/** Messages of another language come when they are wanted. */
export async function loadMessages(language: Language): Promise<void> {
	loaded.messages = language === 'de' ? (await import('../messages/de')).default : en;
}

export async function speak(language: Language): Promise<void> {
	settings.set({ language });
	await loadMessages(language);
}

/** The message for a key, with values in place of `{name}`. `a|b` is one and many of `{n}`. */
export function t(key: Key, values: Values = {}): string {
	let text: string = loaded.messages[key] ?? en[key] ?? key;
	if ('n' in values && text.includes('|')) {
		const [one, many] = text.split('|');
		text = (Number(values.n) === 1 ? one : many) ?? text;
	}
	return text.replace(/\{(\w+)\}/g, (whole, name: string) => {
		const value = values[name];
		return value === undefined ? whole : typeof value === 'number' ? count(value) : value;
	});
}

/** Whether there is a message of this name, for words of the API that have a translation. */
export function has(key: string): key is Key {
	return key in en;
}

/** A number as people of the language write it. */
export function count(value: number): string {
	return value.toLocaleString(settings.language);
}
