import { assert } from '../../base/assert.ts';
import { MIB, SECOND_MS } from '../../base/units.ts';
import type { ActiveLv } from '../../ports/active-lvs.ts';
import { field, type Command as LvmCommand, LvmHost } from '../cluster/lvm-host.ts';
import { SimClock } from '../kernel/clock.ts';
import { Dice } from '../kernel/dice.ts';
import { SimStorage } from '../kernel/disk.ts';
import { LeaseTrace } from './lease-trace.ts';
import { durationMs } from './shared-disks.ts';
import { type Command, runText, type ScenarioRunner } from './text.ts';
import { logEvent, Timeline } from './timeline.ts';

const VG = 'vg';
const SECOND_VG = 'vg2';
const DEVICE = `/dev/mapper/${VG}-lvmlock`;
const SECOND_DEVICE = `/dev/mapper/${SECOND_VG}-lvmlock`;
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
 *   hosts N [io-timeout=2s] [watchdog] [device-mapper] [two-vgs]     second 0: all VGs are started
 *   activate [lv=1]     deactivate [lv=1]     with device-mapper: as lvm does behind a lock
 *   lock-lv mode=ex|sh|un [lv=1]     lock-vg mode=ex|sh|un     start-vg     stop-vg     drop-vg
 *   stop-all     free-vg     `vg=vg2` with these, and with lock-vg: the second VG, without LVs
 *   lock-gl mode=ex|sh|un     by the host's command, which goes on until `un`, and does its free-vg
 *   enable-gl     disable-gl
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
  /** Those that asked for the global lock. */
  readonly #commands = new Map<LvmHost, LvmCommand>();

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
    const vgs = words.includes('two-vgs') ? [VG, SECOND_VG] : [VG];
    this.#storage.add(DEVICE, DEVICE_BYTES);
    if (vgs.includes(SECOND_VG)) this.#storage.add(SECOND_DEVICE, DEVICE_BYTES);
    this.#storage.onLanded = (io, bytes) => this.#trace.landed(io, bytes);
    const ioTimeoutS = durationMs(options.get('io-timeout') ?? '2s') / SECOND_MS;
    for (let hostId = 1; hostId <= Number(words[0]); hostId++) {
      const host = this.#newHost(hostId, ioTimeoutS, words.includes('watchdog'));
      this.#hosts.set(hostId, host);
      host.sanlock.hasIoFaults = false;
      if (words.includes('device-mapper')) host.activeLvs = [LOCK_LV];
      host.startSanlock();
      host.startLvmlockd();
      for (const vg of vgs) {
        if (hostId === 1) this.#makeVg(host, vg);
        this.#must(host, startRequest(host, vg));
        this.#must(host, 'request="start_wait"');
      }
    }
    this.#advance(Math.ceil(this.#clock.nowMs() / SECOND_MS) * SECOND_MS - this.#clock.nowMs());
    this.#timeline.start();
  }

  /** The first one has the global lock and LVs. */
  #makeVg(host: LvmHost, name: string): void {
    const vg = `vg_name="${name}" vg_lock_type="sanlock"`;
    this.#must(host, `request="init_vg" ${vg} vg_lock_args="lvmlock"`);
    for (const lv of name === VG ? LVS : []) {
      const args = `vg_lock_args="1.0.0:lvmlock" lv_uuid="lv${lv}"`;
      const reply = this.#must(host, `request="init_lv" ${vg} ${args}`);
      this.#lvArgs.set(lv, field(reply, 'lv_lock_args'));
    }
  }

  #newHost(hostId: number, ioTimeoutS: number, hasWatchdog: boolean): LvmHost {
    const name = `host${hostId}`;
    const host: LvmHost = new LvmHost({
      ...{ hostId, clock: this.#clock, storage: this.#storage, dice: new Dice(1, name) },
      ...{ ioTimeoutS, devicePath: DEVICE, moreDevicePaths: [SECOND_DEVICE], hasWatchdog },
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
    const second = command.options.has('vg') ? ` ${vgOf(command)}` : '';
    const words = `${command.verb}${lv}${second}${mode === undefined ? '' : ` ${mode}`}`;
    let isAnswered = false;
    this.#send(host, command, (result, reply) => {
      isAnswered = true;
      // What lvm makes warnings of.
      const flags = field(reply, 'result_flags');
      const isFlagged = command.verb === 'lock-gl' && flags !== 'none';
      this.#timeline.say(host.name, `${words} -> ${result}${isFlagged ? ` ${flags}` : ''}`);
    });
    const untilMs = this.#clock.nowMs() + PATIENCE_MS;
    const isAwaited = !command.words.includes('no-wait');
    while (isAwaited && !isAnswered && this.#clock.nowMs() < untilMs) this.#clock.step();
  }

  #send(host: LvmHost, command: Command, then: (result: number, reply: string) => void): void {
    const request = this.#request(host, command);
    const { verb } = command;
    const isOfCommand = verb === 'lock-gl' || (verb === 'free-vg' && this.#commands.has(host));
    if (!isOfCommand) {
      host.call(request, then);
      return;
    }
    const asks = this.#commands.get(host) ?? host.openCommand();
    this.#commands.set(host, asks);
    asks.ask(request, (result, reply) => {
      then(result, reply);
      if (command.options.get('mode') !== 'un') return;
      this.#commands.delete(host);
      asks.close();
    });
  }

  #request(host: LvmHost, command: Command): string {
    const vg = `vg_name="${vgOf(command)}"`;
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
        return startRequest(host, vgOf(command));
      case 'lock-gl':
        return `request="lock_gl" ${mode} max_retries=0`;
      case 'enable-gl':
      case 'disable-gl':
      case 'free-vg':
        return `request="${command.verb.replace('-', '_')}" ${vg} ${VG_ARGS}`;
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

function startRequest(host: LvmHost, vg: string): string {
  return `request="start_vg" vg_name="${vg}" ${VG_ARGS} host_id=${host.hostId}`;
}

function vgOf(command: Command): string {
  return command.options.get('vg') ?? VG;
}

function lvOf(command: Command): number {
  return Number(command.options.get('lv') ?? 1);
}
