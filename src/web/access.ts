import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { isIP } from 'node:net';

/** Who may see the page: on loopback everybody on this machine, else who has the token. */

const SESSION_MS = 12 * 3600_000;
const COOKIE = 'holdfast_session';
const MAX_COOKIE = 200;
export const MIN_TOKEN = 16;
const MAX_TOKEN = 512;

export interface Credentials {
  /** `Authorization` of the request. */
  readonly authorization: string | undefined;
  readonly cookie: string | undefined;
}

/** A token, and the sessions that were begun with it. Without a token everybody has access. */
export class Access {
  readonly #tokenHash: Uint8Array | null;
  /** Of this server alone: a session ends with it. */
  readonly #key = randomBytes(32);
  readonly #nowMs: () => number;

  constructor(token: string | null, nowMs: () => number = Date.now) {
    this.#tokenHash = token === null ? null : hashed(token);
    this.#nowMs = nowMs;
  }

  isAllowed({ authorization, cookie }: Credentials): boolean {
    if (this.#tokenHash === null) return true;
    const bearer = /^Bearer (\S+)$/i.exec(authorization ?? '')?.[1];
    if (bearer !== undefined) return this.#isToken(bearer);
    const session = sessionIn(cookie ?? '');
    return session !== null && this.#isSession(session);
  }

  /** Begins a session. @returns the value of `Set-Cookie` */
  session(): string {
    const endMs = String(this.#nowMs() + SESSION_MS);
    const seconds = SESSION_MS / 1000;
    const value = `${endMs}.${this.#sign(endMs)}`;
    return `${COOKIE}=${value}; Path=/; HttpOnly; SameSite=Strict; Max-Age=${seconds}`;
  }

  /** By their hashes: neither the time nor the length tells of the token. */
  #isToken(given: string): boolean {
    return (
      this.#tokenHash !== null &&
      given.length <= MAX_TOKEN &&
      timingSafeEqual(hashed(given), this.#tokenHash)
    );
  }

  #isSession(value: string): boolean {
    const [, endMs = '', signature = ''] = /^(\d{1,15})\.([0-9a-f]{64})$/.exec(value) ?? [];
    if (endMs === '') return false;
    const wanted = this.#sign(endMs);
    return timingSafeEqual(hashed(signature), hashed(wanted)) && Number(endMs) > this.#nowMs();
  }

  #sign(text: string): string {
    return createHmac('sha256', this.#key).update(text).digest('hex');
  }
}

function hashed(text: string): Uint8Array {
  return createHash('sha256').update(text).digest();
}

function sessionIn(cookies: string): string | null {
  for (const cookie of cookies.split(';')) {
    const [name, value = ''] = cookie.trim().split('=');
    if (name === COOKIE && value.length <= MAX_COOKIE) return value;
  }
  return null;
}

/** @returns the token that a file has; null: it is no token, which is 16 to 512 visible letters */
export function tokenIn(text: string): string | null {
  const token = text.trim();
  const isGood = token.length >= MIN_TOKEN && token.length <= MAX_TOKEN && /^[!-~]+$/.test(token);
  return isGood ? token : null;
}

/**
 * Whether the `Host` of a request is one of ours. A foreign page can have its own name lead to this
 * address (DNS rebinding), and its scripts could read ours then; an address cannot be had so.
 * @param names that lead here, beside localhost, in small letters
 */
export function isOurHost(host: string | undefined, names: ReadonlySet<string>): boolean {
  const name = /^(\[[0-9a-f:.]+\]|[^:[\]/@\s]+)(:\d{1,5})?$/i.exec(host ?? '')?.[1];
  if (name === undefined) return false;
  if (name.startsWith('[')) return isIP(name.slice(1, -1)) === 6;
  const lower = name.toLowerCase().replace(/\.$/, '');
  return isIP(lower) === 4 || lower === 'localhost' || names.has(lower);
}
