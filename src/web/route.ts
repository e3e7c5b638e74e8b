import type { IncomingHttpHeaders } from 'node:http';
import { type Access, isOurHost } from './access.ts';
import type { Feed } from './feed.ts';
import type { Asset } from './pages.ts';

const MAX_URL = 1024;

export interface Site {
  /** At least one. */
  readonly feeds: readonly Feed[];
  readonly assets: ReadonlyMap<string, Asset>;
  readonly access: Access;
  /** Names that lead here, beside localhost and addresses; in small letters. */
  readonly names: ReadonlySet<string>;
}

export interface Asked {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
}

export type Refusal = keyof typeof REFUSALS;

/** What a request gets. */
export type Answer =
  | { readonly kind: 'refusal'; readonly status: Refusal }
  /** It tried a token. */
  | { readonly kind: 'wrongToken' }
  | { readonly kind: 'asset'; readonly asset: Asset }
  | { readonly kind: 'session' }
  | { readonly kind: 'metrics' | 'live'; readonly feed: Feed };

export const REFUSALS = {
  401: 'The token of this server is wanted, as Authorization: Bearer',
  403: 'Only the page of this server may ask this',
  404: 'There is no such page; there are /, /live and /metrics',
  405: 'This server only answers GET and HEAD',
  413: 'A request of this server has no body',
  414: 'The address is too long',
  421: 'This server is not known by that name; holdfast serve --name gives it one',
  429: 'There are too many wrong tokens',
  503: 'There are too many open pages',
} as const;

const FOR_WHOM_MAY: ReadonlySet<string> = new Set(['/live', '/metrics', '/session']);

/**
 * As browsers say it. The page of another site reads nothing of ours anyway; but each request of it
 * would take a place. Programs, and old browsers, do not say it.
 */
const OF_OUR_PAGE: ReadonlySet<unknown> = new Set([undefined, 'same-origin', 'none']);

/** The only place that decides who gets what. */
export function answerTo({ method, url, headers }: Asked, site: Site): Answer {
  if (!isOurHost(headers.host, site.names)) return { kind: 'refusal', status: 421 };
  if (url.length > MAX_URL) return { kind: 'refusal', status: 414 };
  if (method !== 'GET' && method !== 'HEAD') return { kind: 'refusal', status: 405 };
  const length = headers['content-length'] ?? '0';
  if (headers['transfer-encoding'] !== undefined || length !== '0') {
    return { kind: 'refusal', status: 413 };
  }
  const [path = '', query = ''] = url.split('?');
  // The page itself holds nothing of this host: it is what asks for the token.
  const asset = site.assets.get(path);
  if (asset !== undefined) return { kind: 'asset', asset };
  if (!FOR_WHOM_MAY.has(path)) return { kind: 'refusal', status: 404 };
  if (!OF_OUR_PAGE.has(headers['sec-fetch-site'])) return { kind: 'refusal', status: 403 };
  const { authorization, cookie } = headers;
  if (!site.access.isAllowed({ authorization, cookie })) {
    return authorization === undefined ? { kind: 'refusal', status: 401 } : { kind: 'wrongToken' };
  }
  // A session begins with the token, and never with a session: it would not end.
  if (path === '/session') {
    return authorization === undefined ? { kind: 'refusal', status: 401 } : { kind: 'session' };
  }
  const feed = feedOf(query, site.feeds);
  if (feed === undefined) return { kind: 'refusal', status: 404 };
  return { kind: path === '/metrics' ? 'metrics' : 'live', feed };
}

/** `view=2`: of a server that looks at several hosts; from 0. */
function feedOf(query: string, feeds: readonly Feed[]): Feed | undefined {
  const view = new URLSearchParams(query).get('view') ?? '0';
  return /^\d{1,3}$/.test(view) ? feeds[Number(view)] : undefined;
}
