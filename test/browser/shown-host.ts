import type { Snapshot } from '../../src/inspect/snapshot/snapshot.ts';
import { Access } from '../../src/web/access.ts';
import { Feed } from '../../src/web/feed.ts';
import { readAssets } from '../../src/web/pages.ts';
import { WebServer } from '../../src/web/server.ts';

const ROOT = process.env['HOLDFAST_ROOT'] ?? '.';

/** The server of the page, as `holdfast serve` has it, whose looks are given to it by a test. */
export class ShownHost {
  readonly feeds: readonly Feed[];
  readonly #server: WebServer;
  #url = '';

  constructor(names: readonly string[] = ['alpha'], token: string | null = null) {
    this.feeds = names.map((name) => new Feed({ name, everyS: 5, attentionOf: () => [] }));
    for (const [view, feed] of this.feeds.entries()) feed.standAmong(names, view);
    this.#server = new WebServer({
      feeds: this.feeds,
      assets: readAssets(`${ROOT}/dist/web`),
      access: new Access(token),
      names: new Set(),
    });
  }

  get url(): string {
    return this.#url;
  }

  /** @param port of a server before this one, which it takes the place of */
  async start(port = 0): Promise<void> {
    const { port: own } = await this.#server.listen({ host: '127.0.0.1', port });
    this.#url = `http://127.0.0.1:${own}`;
  }

  get port(): number {
    return Number(new URL(this.#url).port);
  }

  look(snapshot: Snapshot, view = 0): void {
    this.feeds[view]?.look(snapshot, 12);
  }

  fail(why: string): void {
    this.feeds[0]?.fail(why);
  }

  close(): Promise<void> {
    return this.#server.close();
  }
}
