import { api, ask, type Schemas } from '../api/client';

export type Role = Schemas['Role'];
export type Token = Schemas['Token'];
export type AuditRecord = Schemas['Record'];

/** From the one that may least to the one that may everything. */
export const ROLES: readonly Role[] = ['viewer', 'operator', 'security', 'administrator'];

const user = (name: string) => ({ params: { path: { name } } });

export const signIn = (name: string, password: string, totp: string | null = null) => ask(api.POST('/v1/session', { body: { user: name, password, totp } }));
export const signOut = () => ask(api.DELETE('/v1/session', {}));
export const setupState = () => ask(api.GET('/v1/setup', {}));
export const setUp = (token: string, name: string, password: string) => ask(api.POST('/v1/setup', { body: { token, user: name, password } }));

export const users = () => ask(api.GET('/v1/users', {}));
export const addUser = (name: string, role: Role, password: string) => ask(api.POST('/v1/users', { body: { name, role, password, certificate: null } }));
export const changeRole = (name: string, role: Role) => ask(api.PATCH('/v1/users/{name}', { ...user(name), body: { role, certificate: null } }));
export const removeUser = (name: string) => ask(api.DELETE('/v1/users/{name}', user(name)));
/** One's own needs the one so far. */
export const setPassword = (name: string, password: string, current?: string) => ask(api.POST('/v1/users/{name}/password', { ...user(name), body: { password, current } }));
/** Without a code a new key is made; with one of its codes it is put in force. */
export const setTotp = (name: string, { code = null, current }: { code?: string | null; current?: string }) => ask(api.POST('/v1/users/{name}/totp', { ...user(name), body: { code, current } }));
export const removeTotp = (name: string) => ask(api.DELETE('/v1/users/{name}/totp', user(name)));

export const tokens = () => ask(api.GET('/v1/tokens', {}));
export const addToken = (token: { name: string; role: Role; readOnly: boolean; days: number | null }) => ask(api.POST('/v1/tokens', { body: token }));
export const removeToken = (id: string) => ask(api.DELETE('/v1/tokens/{id}', { params: { path: { id } } }));

export const sessions = () => ask(api.GET('/v1/sessions', {}));
export const endSession = (id: string) => ask(api.DELETE('/v1/sessions/{id}', { params: { path: { id } } }));

export const audit = (before?: number) => ask(api.GET('/v1/audit', { params: { query: { before, limit: 100 } } }));
export const checkAudit = () => ask(api.GET('/v1/audit/check', {}));
