import type { Schemas } from '../api/client';

export type Service = Schemas['Service'];
export type Backend = Schemas['BackendStatus'];

/** How a service is, told by its backends: the worst that asks for something. */
export function stateOf(service: Service): 'up' | 'down' | 'draining' | 'unknown' | 'disabled' {
	const states = (service.status?.backends ?? []).map((backend) => backend.state);
	if (states.includes('down')) return 'down';
	if (states.includes('draining')) return 'draining';
	if (states.includes('unknown')) return 'unknown';
	if (states.includes('up')) return 'up';
	return 'disabled';
}

export function packets(service: Service): number {
	return (service.status?.backends ?? []).reduce((sum, backend) => sum + backend.packets, 0);
}

export function bytesOf(service: Service): number {
	return (service.status?.backends ?? []).reduce((sum, backend) => sum + backend.bytes, 0);
}

export function upOf(service: Service): number {
	return (service.status?.backends ?? []).filter((backend) => backend.state === 'up').length;
}
