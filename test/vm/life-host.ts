import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { pause } from '../../src/rig/run.ts';
import { ROOT, whyNoMachines } from './initramfs.ts';
import { whyNoOriginals } from './original-host.ts';
import type { Machine } from './vm.ts';

/** A command takes a second or two in an idle machine; one that gives 500 LVs leases, minutes. */
const COMMAND_DEADLINE_MS = 900_000;
const POLL_MS = 500;
const START_WITHIN_S = 60;
const UDEVD = '/lib/systemd/systemd-udevd';
/** Of lvm's thin pools and caches. */
const THIN_TOOLS = '/usr/sbin/thin_check';

/** Whose wdmd, sanlock, lvmlockd and lvmlockctl a machine has. */
export type Seat = 'ours' | 'original';
export type Daemon = 'wdmd' | 'sanlock' | 'lvmlockd';

/** Why no administrator can work in machines here; null when one can. */
export function whyNoLife(): string | null {
  const unbuilt = existsSync(`${ROOT}/dist/holdfast.cjs`) ? null : 'not built yet: npm run build';
  const absent = [
    { path: UDEVD, of: 'udev' },
    { path: THIN_TOOLS, of: 'thin-provisioning-tools' },
  ].find(({ path }) => !existsSync(path));
  const missing = absent === undefined ? null : `${absent.path} is not installed (${absent.of})`;
  return whyNoMachines() ?? whyNoOriginals() ?? unbuilt ?? missing;
}

/** What the administrators of all hosts of a test did, and what they were told. */
export class Transcript {
  readonly #parts: string[] = [];

  add(part: string): void {
    this.#parts.push(part);
  }

  get length(): number {
    return this.#parts.length;
  }

  since(length: number): string {
    return this.#parts.slice(length).join('\n');
  }
}

/**
 * A machine with udev, without systemd, whose four programs are ours or the originals, and the
 * administrator who works there. Each command is noted, with what it printed.
 */
export class LifeHost {
  readonly machine: Machine;
  readonly hostId: number;
  readonly seat: Seat;
  readonly transcript: Transcript;
  #ioTimeoutS = 0;

  constructor(
    machine: Machine,
    of: { readonly hostId: number; readonly seat: Seat; readonly transcript: Transcript },
  ) {
    this.machine = machine;
    this.hostId = of.hostId;
    this.seat = of.seat;
    this.transcript = of.transcript;
  }

  /** Resolves when all three daemons serve. */
  async start(ioTimeoutS: number): Promise<void> {
    this.#ioTimeoutS = ioTimeoutS;
    await this.does(`mkdir -p /run/sanlock /run/lvm /run/lock/lvm /etc/lvm
      cat >/etc/lvm/lvm.conf <<END
      global { use_lvmlockd = 1 event_activation = 0 }
      activation { monitoring = 0 }
      devices { use_devicesfile = 0 filter = [ "a|^/dev/vd[a-z]$|", "a|^/dev/mapper/part|", "r|.*|" ] }
END
      echo 'local { host_id = ${this.hostId} }' >/etc/lvm/lvmlocal.conf
      ${UDEVD} --daemon
      udevadm trigger -s block -s misc
      udevadm settle`);
    if (this.seat === 'ours') await this.#exchangePrograms();
    for (const daemon of ['wdmd', 'sanlock', 'lvmlockd'] as const) await this.startDaemon(daemon);
  }

  /** The programs stand where lvm and sanlock look for the originals. */
  async #exchangePrograms(): Promise<void> {
    await this.does(`for name in wdmd sanlock lvmlockd lvmlockctl; do
        rm -f /usr/sbin/$name
        printf '#!/bin/sh\\nexec ${ROOT}/bin/%s "$@"\\n' $name >/usr/sbin/$name
        chmod 755 /usr/sbin/$name
      done`);
  }

  /** Resolves when it answers. */
  async startDaemon(daemon: Daemon): Promise<void> {
    const root = ['-U', 'root', '-G', 'root'];
    const commands = {
      wdmd: { args: ['-D'], asks: 'wdmd -d' },
      sanlock: {
        args: ['daemon', '-D', '-w', '1', ...root, '-e', this.machine.name],
        asks: 'sanlock client status',
      },
      lvmlockd: {
        args: ['-D', '-g', 'sanlock', '-A', '1', '-o', `${this.#ioTimeoutS}`],
        asks: 'lvmlockctl -i',
      },
    };
    const { args, asks } = commands[daemon];
    this.machine.start([`/usr/sbin/${daemon}`, ...args]);
    await this.does(`until ${asks} >/run/answer 2>&1; do sleep 0.2; done`);
  }

  /** kill -9; resolves when it is gone. */
  async kill(daemon: Daemon): Promise<void> {
    const pidFiles = {
      wdmd: '/run/wdmd/wdmd.pid',
      sanlock: '/run/sanlock/sanlock.pid',
      lvmlockd: '/run/lvmlockd.pid',
    };
    await this.does(`pid=$(cat ${pidFiles[daemon]})
      kill -9 $pid
      while kill -0 $pid 2>&-; do sleep 0.1; done`);
  }

  /** Runs it; it succeeds and prints all of this. @returns what it printed */
  async does(command: string, ...says: readonly RegExp[]): Promise<string> {
    const { status, output } = await this.#run(command);
    assert.equal(status, 0, `${this.machine.name}# ${command}\n${output}`);
    for (const pattern of says) assert.match(output, pattern, command);
    return output;
  }

  /** Runs it; it fails and prints all of this. @returns what it printed */
  async isRefused(command: string, ...says: readonly RegExp[]): Promise<string> {
    const { status, output } = await this.#run(command);
    assert.notEqual(status, 0, `${this.machine.name}# ${command}\n${output}`);
    for (const pattern of says) assert.match(output, pattern, command);
    return output;
  }

  /** Runs it, which succeeds, and prints nothing of this kind. */
  async doesNotShow(command: string, pattern: RegExp): Promise<void> {
    assert.doesNotMatch(await this.does(command), pattern, command);
  }

  /** Runs it again and again until it succeeds. @returns what it printed then */
  async eventually(command: string, withinS: number): Promise<string> {
    const endMs = Date.now() + withinS * 1000;
    for (;;) {
      const { status, output } = await this.#run(command);
      if (status === 0) return output;
      const what = `${this.machine.name}# ${command}\nfails still after ${withinS} s: ${output}`;
      assert.ok(Date.now() < endMs, what);
      await pause(POLL_MS);
    }
  }

  /**
   * lvm does not wait for udev's path of the leases before it asks lvmlockd, and the original's
   * lvmlockd waits for a second only: there the command is repeated, as its users do.
   */
  async startsVgs(names = ''): Promise<void> {
    const command = `vgchange --lock-start ${names}`;
    if (this.seat === 'ours') await this.does(command);
    else await this.eventually(command, START_WITHIN_S);
  }

  /** What its daemons print from now on. */
  log(): { readonly since: () => string } {
    const from = this.machine.console().length;
    return { since: () => this.machine.console().slice(from) };
  }

  async #run(
    command: string,
  ): Promise<{ readonly status: number | null; readonly output: string }> {
    const startedMs = Date.now();
    const script = `export LVM_SUPPRESS_FD_WARNINGS=1\n${command}`;
    const ran = await this.machine.run(['/bin/sh', '-ec', script], COMMAND_DEADLINE_MS);
    const output = ran.output.trim();
    const seconds = ((Date.now() - startedMs) / 1000).toFixed(1);
    this.transcript.add(
      `${this.machine.name}# ${command}\n${output}\n[${ran.status}, ${seconds} s]`,
    );
    return { status: ran.status, output };
  }
}
