import { send } from '../api/client';
import type { Role } from './session.svelte';

export interface SignedIn {
	user: string;
	role: Role;
	kind?: string;
	csrf?: string;
	id?: string;
}

export interface User {
	name: string;
	role: Role;
	created: string;
	password: boolean;
	totp: boolean;
	certificate?: string;
}

export interface Token {
	id: string;
	name: string;
	role: Role;
	readOnly: boolean;
	created: string;
	createdBy: string;
	expires?: string;
	used?: string;
}

export interface SessionView {
	id: string;
	user: string;
	from: string;
	agent: string;
	created: string;
	seen: string;
	expires: string;
	current: boolean;
}

export interface Record_ {
	number: number;
	time: string;
	[field: string]: unknown;
}

const name = encodeURIComponent;

export const signIn = (user: string, password: string, totp?: string) => send<SignedIn>('POST', '/v1/session', { user, password, totp });
export const setupState = () => send<{ needed: boolean }>('GET', '/v1/setup');
export const setUp = (token: string, user: string, password: string) => send<SignedIn | undefined>('POST', '/v1/setup', { token, user, password });
export const signOut = () => send<void>('DELETE', '/v1/session');
export const users = () => send<{ items: User[] }>('GET', '/v1/users');
export const addUser = (user: { name: string; role: Role; password: string }) => send<User>('POST', '/v1/users', user);
export const changeUser = (user: string, change: { role?: Role }) => send<User>('PATCH', `/v1/users/${name(user)}`, change);
export const removeUser = (user: string) => send<void>('DELETE', `/v1/users/${name(user)}`);
export const setPassword = (user: string, password: string, current?: string) => send<void>('POST', `/v1/users/${name(user)}/password`, { password, current });
export const setTotp = (user: string, change: { code?: string; current?: string }) => send<{ enabled: boolean; secret?: string; uri?: string }>('POST', `/v1/users/${name(user)}/totp`, change);
export const removeTotp = (user: string) => send<void>('DELETE', `/v1/users/${name(user)}/totp`);
export const tokens = () => send<{ items: Token[] }>('GET', '/v1/tokens');
export const addToken = (token: { name: string; role: Role; readOnly: boolean; days?: number }) => send<Token & { secret: string }>('POST', '/v1/tokens', token);
export const removeToken = (id: string) => send<void>('DELETE', `/v1/tokens/${name(id)}`);
export const sessions = () => send<{ items: SessionView[] }>('GET', '/v1/sessions');
export const endSession = (id: string) => send<void>('DELETE', `/v1/sessions/${name(id)}`);
export const audit = (before?: number) => send<{ items: Record_[] }>('GET', `/v1/audit?limit=100${before === undefined ? '' : `&before=${before}`}`);
export const checkAudit = () => send<{ records: number; first: number; last: number; broken: unknown[] }>('GET', '/v1/audit/check');
