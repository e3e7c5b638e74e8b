import { assert } from '../../base/assert.ts';
import { MIB, SECOND_MS } from '../../base/units.ts';
import type { ActiveLv } from '../../ports/active-lvs.ts';
import { field, LvmHost } from '../cluster/lvm-host.ts';
import { SimClock } from '../kernel/clock.ts';
import { Dice } from '../kernel/dice.ts';
import { SimStorage } from '../kernel/disk.ts';
import { LeaseTrace } from './lease-trace.ts';
import { durationMs } from './shared-disks.ts';
import { type Command, runText, type ScenarioRunner } from './text.ts';
import { logEvent, Timeline } from './timeline.ts';

const VG = 'vg';
const DEVICE = '/dev/mapper/vg-lvmlock';
/** Leases of hosts, the global and the VG lock, 64 that lvm never uses, and a few LVs. */
const DEVICE_BYTES = 72 * MIB;
const LVS = [1, 2];
/** The longest an answer is waited for. */
const PATIENCE_MS = 300 * SECOND_MS;
/** It is active as long as the VG is started. */
const LOCK_LV = mapped('lvmlock');
const VG_ARGS = 'vg_lock_type="sanlock" vg_lock_args="1.0.0:lvmlock"';
/** The trace shows these as what the processes get. */
const HIDDEN = ['client.signalled', 'client.killpath'];

/**
 * A scenario of hosts under lvm: sanlock and lvmlockd on each, one VG with lv1 and lv2. `host=1` and
 * `lv=1` hold where nothing else is said; 'no-wait' goes on at once. An LV's lock is persistent, as
 * lvm asks for it: an active LV is no process.
 *
 *   hosts N [io-timeout=2s] [watchdog] [device-mapper]     second 0: every host has started the VG
 *   activate [lv=1]     deactivate [lv=1]     with device-mapper: as lvm does behind a lock
 *   lock-lv mode=ex|sh|un [lv=1]     lock-vg mode=ex|sh|un     start-vg     stop-vg     drop-vg
 *   stop-all
 *   kill sanlock|lvmlockd|lease-processes     start sanlock|lvmlockd     power-cut
 *   remove-lockspace     as `sanlock client rem_lockspace`, behind the back of lvmlockd
 *   hang for=30s     wait 30s
 *
 * @returns the same text with the traces as they are now
 */
export function runLvmScenario(text: string): string {
  return runText(text, new LvmHosts());
}

class LvmHosts implements ScenarioRunner {
  readonly #clock = new SimClock();
  readonly #timeline = new Timeline(this.#clock);
  readonly #trace = new LeaseTrace(this.#timeline);
  readonly #storage = new SimStorage();
  readonly #hosts = new Map<number, LvmHost>();
  readonly #lvArgs = new Map<number, string>();

  takeTrace(): readonly string[] {
    return this.#timeline.take();
  }

  run(command: Command): void {
    if (command.verb === 'hosts') this.#begin(command);
    else if (command.verb === 'wait') this.#advance(durationMs(command.words[0]));
    else this.#onHost(this.#hostOf(command), command);
  }

  #onHost(host: LvmHost, command: Command): void {
    const what = command.words[0];
    const verbs: Readonly<Record<string, () => void>> = {
      kill: () => kill(host, what),
      start: () => (what === 'sanlock' ? host.startSanlock() : host.startLvmlockd()),
      'power-cut': () => host.powerCut(),
      'remove-lockspace': () => host.removeLockspace(`lvm_${VG}`),
      activate: () => setActive(host, lvOf(command), true),
      deactivate: () => setActive(host, lvOf(command), false),
      hang: () => {
        const forMs = durationMs(command.options.get('for'));
        host.sanlock.hungUntilMs = this.#clock.nowMs() + forMs;
      },
    };
    const carryOut = verbs[command.verb] ?? (() => this.#ask(host, command));
    carryOut();
    this.#advance(0);
  }

  #hostOf(command: Command): LvmHost {
    const host = this.#hosts.get(Number(command.options.get('host') ?? 1));
    assert(host !== undefined, `the host of ${command.verb} is in the scenario`);
    return host;
  }

  #begin({ words, options }: Command): void {
    this.#storage.add(DEVICE, DEVICE_BYTES);
    this.#storage.onLanded = (io, bytes) => this.#trace.landed(io, bytes);
    const ioTimeoutS = durationMs(options.get('io-timeout') ?? '2s') / SECOND_MS;
    for (let hostId = 1; hostId <= Number(words[0]); hostId++) {
      const host = this.#newHost(hostId, ioTimeoutS, words.includes('watchdog'));
      this.#hosts.set(hostId, host);
      host.sanlock.hasIoFaults = false;
      if (words.includes('device-mapper')) host.activeLvs = [LOCK_LV];
      host.startSanlock();
      host.startLvmlockd();
      if (hostId === 1) this.#makeVg(host);
      this.#must(host, startRequest(host));
      this.#must(host, 'request="start_wait"');
    }
    this.#advance(Math.ceil(this.#clock.nowMs() / SECOND_MS) * SECOND_MS - this.#clock.nowMs());
    this.#timeline.start();
  }

  #makeVg(host: LvmHost): void {
    const vg = `vg_name="${VG}" vg_lock_type="sanlock"`;
    this.#must(host, `request="init_vg" ${vg} vg_lock_args="lvmlock"`);
    for (const lv of LVS) {
      const args = `vg_lock_args="1.0.0:lvmlock" lv_uuid="lv${lv}"`;
      const reply = this.#must(host, `request="init_lv" ${vg} ${args}`);
      this.#lvArgs.set(lv, field(reply, 'lv_lock_args'));
    }
  }

  #newHost(hostId: number, ioTimeoutS: number, hasWatchdog: boolean): LvmHost {
    const name = `host${hostId}`;
    const host: LvmHost = new LvmHost({
      ...{ hostId, clock: this.#clock, storage: this.#storage, dice: new Dice(1, name) },
      ...{ ioTimeoutS, devicePath: DEVICE, hasWatchdog },
      watch: {
        logged: (event, fields, program, level) => {
          if (HIDDEN.includes(event)) return;
          logEvent(this.#timeline, { host: name, program, level }, event, fields);
        },
        killpath: () => this.#killpathRuns(host),
        log: (text) => this.#timeline.say(name, text.replace(`${name} `, '')),
      },
      reset: () => {
        this.#timeline.say(name, 'watchdog fires');
        host.powerCut();
      },
    });
    return host;
  }

  /** What that program does: it reports to lvmlockd that the storage of the VG's leases has failed. */
  #killpathRuns(host: LvmHost): void {
    this.#timeline.say(host.name, `sanlock runs lvmlockctl --kill ${VG}`);
    host.call(`request="kill_vg" vg_name="${VG}"`, (result) =>
      this.#timeline.say(host.name, `kill-vg -> ${result}`),
    );
  }

  #ask(host: LvmHost, command: Command): void {
    const mode = command.options.get('mode');
    const lv = command.verb === 'lock-lv' ? ` lv${lvOf(command)}` : '';
    const words = `${command.verb}${lv}${mode === undefined ? '' : ` ${mode}`}`;
    let isAnswered = false;
    host.call(this.#request(host, command), (result) => {
      isAnswered = true;
      this.#timeline.say(host.name, `${words} -> ${result}`);
    });
    const untilMs = this.#clock.nowMs() + PATIENCE_MS;
    const isAwaited = !command.words.includes('no-wait');
    while (isAwaited && !isAnswered && this.#clock.nowMs() < untilMs) this.#clock.step();
  }

  #request(host: LvmHost, command: Command): string {
    const vg = `vg_name="${VG}"`;
    const mode = `mode="${command.options.get('mode')}"`;
    switch (command.verb) {
      case 'lock-lv': {
        const lv = lvOf(command);
        const of = `${vg} lv_uuid="lv${lv}" lv_lock_args="${this.#lvArgs.get(lv)}"`;
        return `request="lock_lv" ${mode} opts="persistent" ${of}`;
      }
      case 'lock-vg':
        return `request="lock_vg" ${mode} ${vg} ${VG_ARGS}`;
      case 'start-vg':
        return startRequest(host);
      case 'stop-vg':
        return `request="stop_vg" ${vg} ${VG_ARGS}`;
      case 'stop-all':
        return 'request="stop_all" opts="wait force"';
      case 'drop-vg':
        return `request="drop_vg" ${vg}`;
      default:
        assert(false, `there is a command ${command.verb}`);
    }
  }

  #must(host: LvmHost, request: string): string {
    let reply: string | null = null;
    host.call(request, (result, text) => {
      assert(result === 0, `${host.name} is set up`);
      reply = text;
    });
    for (let waited = 0; reply === null && waited < 120; waited++) this.#advance(SECOND_MS);
    return reply ?? '';
  }

  #advance(ms: number): void {
    this.#clock.runUntil(this.#clock.nowMs() + ms);
  }
}

function kill(host: LvmHost, what: string | undefined): void {
  if (what === 'sanlock') host.killSanlock();
  else if (what === 'lvmlockd') host.killLvmlockd();
  else host.sanlock.killLeaseProcesses();
}

function setActive(host: LvmHost, lv: number, isActive: boolean): void {
  const own = mapped(`lv${lv}`);
  const others = (host.activeLvs ?? []).filter(({ lvUuid }) => lvUuid !== own.lvUuid);
  host.activeLvs = isActive ? [...others, own] : others;
}

function mapped(name: string): ActiveLv {
  const deviceUuid = `LVM-${VG}${name}`;
  const size = { sizeBytes: 8 * MIB, isHeld: false };
  return { deviceName: `vg-${name}`, deviceUuid, vgUuid: VG, lvUuid: name, ...size };
}

function startRequest(host: LvmHost): string {
  return `request="start_vg" vg_name="${VG}" ${VG_ARGS} host_id=${host.hostId}`;
}

function lvOf(command: Command): number {
  return Number(command.options.get('lv') ?? 1);
}
