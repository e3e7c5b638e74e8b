import { type IncomingHttpHeaders, request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { snapshot } from '../../inspect/snapshot/testing/clusters.ts';
import { until } from '../../rig/run.ts';
import { Access } from '../access.ts';
import { Feed } from '../feed.ts';
import { WebServer } from '../server.ts';

export const TOKEN = 'correct-horse-battery';

/** A server on a free port, of a host that was seen once. */
export class WebHarness {
  readonly feed = madeFeed();
  readonly server: WebServer;
  port = 0;

  constructor(token: string | null = null) {
    const asset = { type: 'text/html; charset=utf-8', bytes: Buffer.from('<!doctype html>') };
    this.server = new WebServer({
      feeds: [this.feed],
      assets: new Map([['/', asset]]),
      access: new Access(token),
      names: new Set(['alpha']),
    });
  }

  static async start(token: string | null = null): Promise<WebHarness> {
    const harness = new WebHarness(token);
    const { port } = await harness.server.listen({ host: '127.0.0.1', port: 0 });
    harness.port = port;
    harness.feed.look(snapshot(), 5);
    return harness;
  }

  /** The whole answer; of server-sent events the head, and the connection ends. */
  ask(path: string, more: AskOptions = {}): Promise<Answered> {
    const { method = 'GET', headers = {}, isHeadEnough = false } = more;
    return new Promise((resolve, reject) => {
      const options = { host: '127.0.0.1', port: this.port, path, method, headers };
      const asked = request({ ...options, agent: false }, (response) => {
        let text = '';
        const answered = () => {
          resolve({ status: response.statusCode ?? 0, headers: response.headers, text });
          asked.destroy();
        };
        if (isHeadEnough) return answered();
        response.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk;
        });
        response.on('end', answered);
      });
      asked.on('error', reject);
      asked.end();
    });
  }

  /** A connection of a peer that speaks no HTTP of Node's. */
  connect(): Socket {
    return connect(this.port, '127.0.0.1').on('error', () => {});
  }
}

interface AskOptions {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly isHeadEnough?: boolean;
}

export interface Answered {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

/** Waits until it is so. */
export function eventually(what: string, good: () => boolean): Promise<void> {
  return until(what, good, { withinMs: 60_000, everyMs: 5 });
}

export function madeFeed(): Feed {
  return new Feed({ name: 'alpha', everyS: 5, attentionOf: () => [] });
}
