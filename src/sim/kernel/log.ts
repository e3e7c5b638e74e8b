import type { Log } from '../../ports/log.ts';

export const QUIET: Log = { error: () => {}, warn: () => {}, info: () => {}, debug: () => {} };
