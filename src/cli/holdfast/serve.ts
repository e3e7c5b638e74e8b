import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { plainJson } from '../../base/plain-text.ts';
import { MonotonicClock } from '../../platform/clock.ts';
import { daemonSockets } from '../../platform/daemon-sockets.ts';
import { FreshReads } from '../../platform/fresh-reads.ts';
import { notifyServiceManager } from '../../platform/sd-notify.ts';
import { reasonOf } from '../../platform/system-error.ts';
import { Access } from '../../web/access.ts';
import { Feed } from '../../web/feed.ts';
import { readAssets } from '../../web/pages.ts';
import { WebServer } from '../../web/server.ts';
import { type Source, Watcher } from '../../web/watcher.ts';
import { mistakeText } from '../frame/help.ts';
import { daemonPaths, REAL_PROCESSES } from '../observe/daemons.ts';
import { reportedLvs, takeSnapshot } from '../observe/snapshot.ts';
import { endBesideHungCalls } from './end-now.ts';
import { shownAttention } from './serve/attention.ts';
import { KnownLvs, lookWith } from './serve/known-lvs.ts';
import { LogTail } from './serve/log-tail.ts';
import { parseServe, SERVE_PAGE, type ServeOptions } from './serve/options.ts';
import { readToken } from './serve/token.ts';

export { SERVE_PAGE };

export const SANLOCK_LOG = '/var/log/sanlock.log';
/** A device that does not answer a read is left out of a look after so long. */
const READ_MS = 20_000;
const LAST_LOOK_MS = 1000;

/** Serves until it is asked to end. @returns the exit status */
export async function serve(args: readonly string[]): Promise<number> {
  const options = parseServe(args);
  if (!options.ok) {
    process.stderr.write(mistakeText(SERVE_PAGE, options.error));
    return 2;
  }
  if (process.geteuid?.() !== 0)
    return refused('only root may ask the daemons and read the leases');
  const { tokenFile, everyS, names, isJson } = options.value;
  const token = tokenFile === null ? null : await readToken(tokenFile);
  if (token?.ok === false) return refused(token.error);
  const feed = new Feed({ name: hostname(), everyS, attentionOf: shownAttention });
  const server = new WebServer({
    feeds: [feed],
    assets: pageAssets(),
    access: new Access(token === null ? null : token.value),
    names: new Set([...names, hostname().toLowerCase()]),
  });
  const asked = untilAskedToEnd();
  const addresses = await listenAll(server, options.value);
  if (typeof addresses === 'string') {
    await server.close();
    return refused(addresses);
  }
  say(addresses, isJson);
  const reads = new FreshReads(READ_MS);
  const watcher = watcherOf(feed, localSource(reads), everyS);
  notifyServiceManager('READY=1');
  await asked;
  notifyServiceManager('STOPPING=1');
  await server.close();
  // A look that is under way may wait for lvm, or for a disk, much longer.
  await Promise.race([watcher.close(), pause(LAST_LOOK_MS)]);
  await endBesideHungCalls(0);
  return 0;
}

function refused(why: string): number {
  process.stderr.write(`holdfast serve: ${why}\n`);
  return 2;
}

/** As the build puts them beside the programs. */
export function pageAssets(): ReturnType<typeof readAssets> {
  return readAssets(join(dirname(__dirname), 'dist', 'web'));
}

/** Looks at a host for its feed, from now on. */
export function watcherOf(feed: Feed, source: Source, everyS: number): Watcher {
  const watcher = new Watcher({
    source,
    everyMs: everyS * 1000,
    onLook: ({ snapshot, logged }, tookMs) => feed.look(snapshot, tookMs, logged),
    onFailure: (why) => feed.fail(why),
  });
  watcher.start();
  return watcher;
}

/** This host, by its sockets, lvm and its disks. */
function localSource(reads: FreshReads): Source {
  const clock = new MonotonicClock();
  const known = new KnownLvs(reportedLvs, () => clock.nowMs());
  const ports = {
    sockets: daemonSockets(),
    clock,
    paths: daemonPaths(process.env),
    processes: REAL_PROCESSES,
    reads,
    wallMs: () => Date.now(),
  };
  const log = new LogTail(SANLOCK_LOG);
  return {
    look: async () => ({
      snapshot: await lookWith(known, ports, takeSnapshot),
      logged: await log.added(),
    }),
  };
}

/** @returns the addresses as a browser takes them, or a sentence: which of them is not to be had */
async function listenAll(
  server: WebServer,
  { addresses }: ServeOptions,
): Promise<readonly string[] | string> {
  const served: string[] = [];
  for (const { host, port, isOptional } of addresses) {
    try {
      const { port: own } = await server.listen({ host, port, ipv6Only: host.includes(':') });
      served.push(`http://${host.includes(':') ? `[${host}]` : host}:${own}/`);
    } catch (error) {
      if (!isOptional) return `cannot listen on ${host}, port ${port}: ${reasonOf(error)}`;
    }
  }
  return served;
}

function say(addresses: readonly string[], isJson: boolean): void {
  const json = { schema: SERVE_PAGE.schema, addresses };
  const text = `holdfast serve: ${addresses.join(' and ')}`;
  process.stdout.write(`${isJson ? plainJson(json, 0) : text}\n`);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function untilAskedToEnd(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.on(signal, () => resolve());
    }
  });
}
