import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, ListenOptions } from 'node:net';
import { unreachable } from '../base/assert.ts';
import type { Feed } from './feed.ts';
import { Live, MAX_PAGES } from './live.ts';
import { metricsOf } from './metrics.ts';
import { HEADERS } from './pages.ts';
import { answerTo, REFUSALS, type Refusal, type Site } from './route.ts';
import { WrongTokens } from './wrong-tokens.ts';

/** Pages, a scraper or two, and what a browser opens beside. */
export const MAX_CONNECTIONS = MAX_PAGES + 32;
const MAX_HEADER_BYTES = 8192;
const MAX_REQUESTS_A_CONNECTION = 1000;
/** For a request to come, whole; a peer that sends a letter a second is disconnected. */
const REQUEST_MS = 10_000;
const IDLE_MS = 5000;
/** A wrong token is answered late. */
const REFUSAL_MS = 1000;

/** The page, its live updates and the metrics; it only reads, and knows no other request. */
export class WebServer {
  readonly #site: Site;
  readonly #servers: Server[] = [];
  readonly #live = new Live();
  readonly #wrongTokens = new WrongTokens();

  constructor(site: Site) {
    this.#site = site;
  }

  /** @returns the address; rejects where it cannot be listened on */
  async listen(at: ListenOptions): Promise<AddressInfo> {
    const server = createServer({
      maxHeaderSize: MAX_HEADER_BYTES,
      headersTimeout: REQUEST_MS,
      requestTimeout: REQUEST_MS,
      keepAliveTimeout: IDLE_MS,
      connectionsCheckingInterval: IDLE_MS,
    });
    server.maxConnections = MAX_CONNECTIONS;
    server.maxRequestsPerSocket = MAX_REQUESTS_A_CONNECTION;
    server.on('request', (request, response) => this.#answer(request, response));
    // Nothing is switched to another protocol, and no body is asked for.
    server.on('upgrade', (_, socket) => socket.destroy());
    server.on('connect', (_, socket) => socket.destroy());
    server.on('checkContinue', (request, response) => refuse({ request, response }, 413));
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(at, () => {
        server.off('error', reject);
        resolve();
      });
    });
    this.#servers.push(server);
    return server.address() as AddressInfo; // of a server over TCP
  }

  /** Safe to repeat. */
  async close(): Promise<void> {
    this.#live.close();
    await Promise.all(this.#servers.splice(0).map(closed));
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const exchange = { request, response };
    response.on('error', () => response.destroy());
    const { method = '', url = '', headers } = request;
    if (headers.authorization !== undefined && !this.#wrongTokens.mayTry(addressOf(request))) {
      refuse(exchange, 429);
      return;
    }
    const answer = answerTo({ method, url, headers }, this.#site);
    switch (answer.kind) {
      case 'refusal':
        refuse(exchange, answer.status);
        break;
      case 'wrongToken':
        this.#refuseLate(exchange);
        break;
      case 'asset':
        send(exchange, 200, answer.asset);
        break;
      case 'session':
        response.setHeader('Set-Cookie', this.#site.access.session());
        send(exchange, 204, NOTHING);
        break;
      case 'metrics':
        send(exchange, 200, metricsAsset(answer.feed, this.#live.count));
        break;
      case 'live':
        this.#openLive(exchange, answer.feed);
        break;
      default:
        unreachable(answer);
    }
  }

  #openLive(exchange: Exchange, feed: Feed): void {
    const { request, response } = exchange;
    if (this.#live.isFull) {
      response.setHeader('Retry-After', '10');
      refuse(exchange, 503);
      return;
    }
    response.writeHead(200, { ...HEADERS, 'Content-Type': 'text/event-stream; charset=utf-8' });
    if (request.method === 'HEAD') {
      response.end();
      return;
    }
    request.socket.setNoDelay(true);
    this.#live.open(response, feed);
  }

  #refuseLate(exchange: Exchange): void {
    const address = addressOf(exchange.request);
    this.#wrongTokens.begin(address);
    setTimeout(() => {
      this.#wrongTokens.end(address);
      refuse(exchange, 401);
    }, REFUSAL_MS);
  }
}

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

function addressOf({ socket }: IncomingMessage): string {
  return socket.remoteAddress ?? '';
}

interface Body {
  readonly type: string;
  readonly bytes: Uint8Array;
}

const NOTHING: Body = { type: 'text/plain; charset=utf-8', bytes: new Uint8Array(0) };

function metricsAsset(feed: Feed, pages: number): Body {
  const type = 'text/plain; version=0.0.4; charset=utf-8';
  return { type, bytes: Buffer.from(metricsOf(feed, pages)) };
}

function refuse(exchange: Exchange, status: Refusal): void {
  const { response } = exchange;
  response.shouldKeepAlive = false; // whatever body comes is not read
  if (status === 405) response.setHeader('Allow', 'GET, HEAD');
  if (status === 401) response.setHeader('WWW-Authenticate', 'Bearer realm="holdfast"');
  send(exchange, status, { ...NOTHING, bytes: Buffer.from(`${REFUSALS[status]}\n`) });
}

function send({ request, response }: Exchange, status: number, { type, bytes }: Body): void {
  const own = status === 204 ? {} : { 'Content-Type': type, 'Content-Length': bytes.length };
  response.writeHead(status, { ...HEADERS, ...own });
  response.end(request.method === 'HEAD' || status === 204 ? undefined : bytes);
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
