import { join } from 'node:path';
import type { Host } from '../../rig/host.ts';
import { Access } from '../../web/access.ts';
import { Feed } from '../../web/feed.ts';
import { WebServer } from '../../web/server.ts';
import type { Watcher } from '../../web/watcher.ts';
import { shownAttention } from './serve/attention.ts';
import { LineSource } from './serve/line-source.ts';
import { DEFAULT_PORT } from './serve/options.ts';
import { pageAssets, SANLOCK_LOG, watcherOf } from './serve.ts';

/** Renewals come every two seconds there. */
const EVERY_S = 3;
const LOOPBACK = '127.0.0.1';

/** One page for all hosts of a demo, each as it sees the others. */
export class DemoPage {
  readonly address: string;
  readonly #server: WebServer;
  readonly #sources: readonly LineSource[];
  readonly #watchers: readonly Watcher[];

  private constructor(
    address: string,
    of: {
      readonly server: WebServer;
      readonly sources: readonly LineSource[];
      readonly watchers: readonly Watcher[];
    },
  ) {
    this.address = address;
    this.#server = of.server;
    this.#sources = of.sources;
    this.#watchers = of.watchers;
  }

  /** @param bin the folder of our programs, which run in the hosts */
  static async start(hosts: readonly Host[], bin: string): Promise<DemoPage> {
    const names = hosts.map(({ name }) => name);
    const feeds = names.map(
      (name) => new Feed({ name, everyS: EVERY_S, attentionOf: shownAttention }),
    );
    for (const [view, feed] of feeds.entries()) feed.standAmong(names, view);
    const site = {
      feeds,
      assets: pageAssets(),
      access: new Access(null),
      names: new Set<string>(),
    };
    const server = new WebServer(site);
    const port = await portOf(server);
    const sources = hosts.map((host) => sourceOf(host, bin));
    const watchers = feeds.flatMap((feed, at) => {
      const source = sources[at];
      return source === undefined ? [] : [watcherOf(feed, source, EVERY_S)];
    });
    return new DemoPage(`http://localhost:${port}/`, { server, sources, watchers });
  }

  /** Ends the programs in the hosts as well. Safe to repeat. */
  async close(): Promise<void> {
    const ends = this.#watchers.map((watcher) => watcher.close());
    for (const source of this.#sources) source.close();
    await Promise.all([...ends, this.#server.close()]);
  }
}

/** That of `holdfast serve`, else any: another page may be served on this machine. */
async function portOf(server: WebServer): Promise<number> {
  try {
    return (await server.listen({ host: LOOPBACK, port: DEFAULT_PORT })).port;
  } catch {
    return (await server.listen({ host: LOOPBACK, port: 0 })).port;
  }
}

function sourceOf(host: Host, bin: string): LineSource {
  const args = ['status', '--watch', '--json', '--interval', `${EVERY_S}`];
  const start = () => host.spawn(join(bin, 'holdfast'), args, ['ignore', 'pipe', 'ignore']);
  return new LineSource(start, host.path(SANLOCK_LOG));
}
