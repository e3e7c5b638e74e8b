import type { ChildProcess } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join, resolve } from 'node:path';
import type { GuardReport } from '../../src/guard/report.ts';
import type { Host } from '../../src/rig/host.ts';
import { must, until } from '../../src/rig/run.ts';

const ROOT = resolve(process.env['HOLDFAST_ROOT'] ?? '.');
/** Where the guard listens, on each host. */
export const SOCKET = '/run/holdfast/guard.sock';
const JOINED_MS = 120_000;
/** Each time that a condition is waited for: long, as the machine may be busy. */
export const SOON = { withinMs: 120_000, everyMs: 50 } as const;

/** How a hook ended. */
export interface HookEnd {
  readonly status: number | null;
  readonly said: string;
}

/** Our guard on a host of the rig without libvirt: a test is what calls its hook. */
export class GuardService {
  readonly host: Host;
  readonly #child: ChildProcess;
  #log = '';

  private constructor(host: Host, child: ChildProcess) {
    this.host = host;
    this.#child = child;
    child.stderr?.setEncoding('utf8');
    child.stderr?.on('data', (text) => {
      this.#log += text;
    });
  }

  /** Returns when this host has joined the lockspace; sanlock runs there already. */
  static async start(
    host: Host,
    options: { readonly dir: string; readonly leases: string; readonly ioTimeoutS: number },
  ): Promise<GuardService> {
    const etc = join(options.dir, `etc-libvirt-${host.name}`);
    mkdirSync(etc);
    const conf = [
      `host_id = ${host.hostId}`,
      `disk_lease_dir = "${options.leases}"`,
      `io_timeout = ${options.ioTimeoutS}`,
    ];
    writeFileSync(join(etc, 'qemu-sanlock.conf'), `${conf.join('\n')}\n`);
    await must('nsenter', host.enter('mkdir', ['-p', '/etc/libvirt']));
    await must('nsenter', host.enter('mount', ['--bind', etc, '/etc/libvirt']));
    const service = GuardService.begin(host);
    await service.joined();
    return service;
  }

  /** As the host is configured. */
  static begin(host: Host): GuardService {
    const words = [join(ROOT, 'dist/guardd.cjs')];
    return new GuardService(host, host.spawn(nodeOf(host), words, ['ignore', 'ignore', 'pipe']));
  }

  /** This host is in the lockspace. */
  async joined(): Promise<void> {
    const isJoined = async () => {
      if (!this.isRunning()) throw new Error(`the guard has ended: ${this.log}`);
      return (await this.report())?.lockspaceCode === 0;
    };
    await until(`the guard of ${this.host.name} has joined`, isJoined, { withinMs: JOINED_MS });
  }

  /** Its keepers stay. */
  async end(signal: NodeJS.Signals): Promise<void> {
    this.#child.kill(signal);
    const hasEnded = () => !this.isRunning();
    await until(`the end of the guard of ${this.host.name}`, hasEnded, { withinMs: JOINED_MS });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** All that it has said. */
  get log(): string {
    return this.#log;
  }

  isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** The hook program, as libvirt calls it. */
  hook(operation: string, xml: string | Uint8Array | Iterable<Uint8Array>): Promise<HookEnd> {
    const words = [join(ROOT, 'dist/guard-hook.cjs'), SOCKET, 'web', operation];
    const child = this.host.spawn(nodeOf(this.host), words, ['pipe', 'ignore', 'pipe']);
    let said = '';
    child.stderr?.setEncoding('utf8');
    child.stderr?.on('data', (text) => {
      said += text;
    });
    child.stdin?.on('error', () => {}); // it has heard enough
    const parts = typeof xml === 'string' || xml instanceof Uint8Array ? [xml] : xml;
    for (const part of parts) child.stdin?.write(part);
    child.stdin?.end();
    return new Promise((resolve) => {
      child.on('close', (status) => resolve({ status, said }));
    });
  }

  /** As the hook program asks it. @returns what libvirt's user would be told; null: it may go on */
  async ask(operation: string, xml: string): Promise<string | null> {
    const socket = this.connect();
    socket.write(`${JSON.stringify({ operation, xml })}\n`);
    return (JSON.parse(await whole(socket)) as { text: string | null }).text;
  }

  /** A client of its socket; where the socket is. */
  connect(): Socket {
    return connect(this.socketPath);
  }

  get socketPath(): string {
    return this.host.path(SOCKET);
  }

  /** What the guard says of itself; null: it does not answer. */
  async report(): Promise<GuardReport | null> {
    const socket = this.connect();
    socket.setTimeout(JOINED_MS, () => socket.destroy());
    socket.write('{"operation":"status"}\n');
    const said = await whole(socket);
    try {
      return (JSON.parse(said) as { report: GuardReport }).report;
    } catch {
      return null;
    }
  }
}

/** What a connection says until its end. */
export function whole(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    let said = '';
    socket.on('data', (bytes) => {
      said += bytes;
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve(said));
  });
}

/** Node is in a folder of its own where a host has another Debian. */
export function nodeOf(host: Host): string {
  return host.root === null ? process.execPath : '/opt/node/node';
}
