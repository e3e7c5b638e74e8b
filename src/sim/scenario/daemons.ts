import { assert } from '../../base/assert.ts';
import { SECOND_MS } from '../../base/units.ts';
import { writeLockspace, writeResource } from '../../wire/sanlock/area-calls.ts';
import type { SanlockCall } from '../../wire/sanlock/call.ts';
import {
  addLockspace,
  handOver,
  removeLockspace,
  shutdown,
} from '../../wire/sanlock/daemon-calls.ts';
import { acquire, release, request } from '../../wire/sanlock/lease-calls.ts';
import { RES_FLAGS } from '../../wire/sanlock/socket.ts';
import type { Lockspace, Resource } from '../../wire/sanlock/types.ts';
import { SimClock } from '../kernel/clock.ts';
import type { ProcessClock } from '../kernel/process-clock.ts';
import type { ProcessBehavior } from './client-process.ts';
import { DaemonHost, type DaemonSettings, type PausedProgram } from './daemon-host.ts';
import { durationMs, offsetOf, pathOf, SharedDisks } from './shared-disks.ts';
import { type Command, runText, type ScenarioRunner } from './text.ts';
import { Timeline } from './timeline.ts';

/** The longest an answer is waited for: a dead owner's lease takes 8·t + 60 s and more. */
const PATIENCE_MS = 300 * SECOND_MS;
const RESOURCES = [1, 2, 3];
const OFF: DaemonSettings = { killGraceS: 0, useWatchdog: false, watchdogFireTimeoutS: 60 };

/**
 * A scenario of whole daemons: sanlock, wdmd and a watchdog on each host, in virtual time. `host=1`,
 * `lockspace=LS` and `resource=R1` hold where nothing else is said; 'no-wait' goes on at once.
 *
 *   hosts N [joined] [io-timeout=2s] [grace=5s] [fire-timeout=60s] [no-watchdog] [lockspaces=LS,LT]
 *           joined: second 0 is when every host is a member of every lockspace
 *   add [host-id=2] [no-wait]   remove [unused] [no-wait]   shutdown [force]
 *   request mode=graceful|force      asks the owner of a lease, on another host, to release it
 *   process pid=101 [sigterm=ignored|3s] [stuck] [restrict=SIGKILL|SIGTERM]
 *           [killpath=/sbin/x] [killpath-does=nothing|release|end]
 *   acquire pid=101 [shared] [persistent] [orphan] [no-wait]   release pid=101   end pid=101
 *   hang [for=30s]   refuse-writes [for=30s]     of the lockspace's disk, for that host
 *   lose-lease [resource=R1]                     its area shows what it did at second 0
 *   kill sanlock [lease-processes-stay] | wdmd | lease-processes      start [wdmd]
 *   hand-over                                    sanlock ends for its successor
 *   lease-processes-end                          those that had outlived their daemon
 *   wdmd-client name=X fire-timeout=60s          another program opens the watchdog
 *   overwrite-host-lease by=host9                of the host's id, as a stranger would
 *   pause sanlock|lease-processes|wdmd|machine for=30s     suspend for=30s     wait 30s
 *
 * @returns the same text with the traces as they are now
 */
export function runDaemonScenario(text: string): string {
  return runText(text, new Daemons());
}

class Daemons implements ScenarioRunner {
  readonly #clock = new SimClock();
  readonly #timeline = new Timeline(this.#clock);
  readonly #disks = new SharedDisks(this.#clock, this.#timeline);
  readonly #hosts = new Map<number, DaemonHost>();
  #ioTimeoutS = 0;

  takeTrace(): readonly string[] {
    return this.#timeline.take();
  }

  run(command: Command): void {
    if (command.verb === 'hosts') this.#begin(command);
    else if (command.verb === 'wait') this.#advance(durationMs(command.words[0]));
    else this.#onHost(this.#hostOf(command), command);
  }

  #onHost(host: DaemonHost, command: Command): void {
    const { verb, options, words } = command;
    const lockspace = options.get('lockspace') ?? 'LS';
    const forMs = durationMs(options.get('for'));
    const verbs: Readonly<Record<string, () => void>> = {
      start: () => (words[0] === 'wdmd' ? host.startWdmd() : host.start()),
      kill: () => kill(host, command),
      'lease-processes-end': () => host.leaseProcessesEnd(),
      hang: () => this.#disks.hang(host.name, lockspace, forMs),
      'refuse-writes': () => this.#disks.refuseWrites(host.name, lockspace, forMs),
      'lose-lease': () => this.#disks.loseLease(lockspace, options.get('resource') ?? 'R1'),
      'overwrite-host-lease': () =>
        this.#disks.overwriteHostLease(lockspace, host.hostId, options.get('by') ?? ''),
      'wdmd-client': () => host.startWdmdClient(options.get('name') ?? '', fireTimeoutS(command)),
      pause: () => this.#pause(host, words[0], forMs),
      suspend: () => this.#suspend(host, forMs),
      process: () =>
        host.startProcess(pidOf(command), behaviorOf(command), options.get('restrict')),
      end: () => host.processEnds(pidOf(command)),
    };
    const carryOut = verbs[verb] ?? (() => this.#call(host, command));
    carryOut();
    this.#advance(0);
  }

  /** Formats the disks and starts a daemon on each host. */
  #begin(command: Command): void {
    const { options, words } = command;
    this.#ioTimeoutS = durationMs(options.get('io-timeout') ?? '2s') / SECOND_MS;
    const lockspaces = (options.get('lockspaces') ?? 'LS').split(',');
    for (const lockspace of lockspaces) {
      this.#disks.add(lockspace);
      this.#format(lockspace);
    }
    const settings: DaemonSettings = {
      killGraceS: durationMs(options.get('grace') ?? '40s') / SECOND_MS,
      useWatchdog: !words.includes('no-watchdog'),
      watchdogFireTimeoutS: fireTimeoutS(command),
    };
    this.#startOnWholeSecond();
    for (let hostId = 1; hostId <= Number(words[0]); hostId++) {
      const host = this.#newHost(hostId, settings);
      this.#hosts.set(hostId, host);
      host.start();
      if (words.includes('joined')) for (const name of lockspaces) this.#join(host, name);
    }
    if (words.includes('joined')) this.#startOnWholeSecond();
  }

  #startOnWholeSecond(): void {
    this.#advance(Math.ceil(this.#clock.nowMs() / SECOND_MS) * SECOND_MS - this.#clock.nowMs());
    this.#timeline.start();
    this.#disks.keep();
  }

  #join(host: DaemonHost, lockspace: string): void {
    const add = addLockspace(lockspaceOf(lockspace, host.hostId), { ioTimeoutS: this.#ioTimeoutS });
    this.#answerOf(host, add, null, (result) => assert(result === '0', 'a host joins'));
  }

  #newHost(hostId: number, settings: DaemonSettings): DaemonHost {
    const world = { clock: this.#clock, timeline: this.#timeline, disks: this.#disks };
    return new DaemonHost({ hostId, settings, ...world });
  }

  #format(lockspace: string): void {
    const host = this.#newHost(0, OFF);
    host.start();
    const ioTimeoutS = this.#ioTimeoutS;
    const area = lockspaceOf(lockspace, 0);
    this.#answerOf(host, writeLockspace(area, { ioTimeoutS }), null, () => {});
    for (const n of RESOURCES) {
      this.#answerOf(host, writeResource(resourceOf(lockspace, `R${n}`, 0)), null, () => {});
    }
    host.kill({ leaseProcessesStay: false });
  }

  #hostOf(command: Command): DaemonHost {
    const host = this.#hosts.get(Number(command.options.get('host') ?? 1));
    assert(host !== undefined, `the host of ${command.verb} is in the scenario`);
    return host;
  }

  #pause(host: DaemonHost, program: string | undefined, forMs: number): void {
    const which = programOf(program);
    const clocks = host.pause(which);
    this.#timeline.say(host.name, `${which}: paused`);
    this.#clock.after(forMs, () => {
      this.#timeline.say(host.name, `${which}: resumed`);
      resume(clocks);
    });
  }

  /** No clock of that host moves, those of the others do. */
  #suspend(host: DaemonHost, forMs: number): void {
    this.#timeline.say(host.name, 'is suspended');
    const clocks = host.pause('machine');
    this.#advance(forMs);
    this.#timeline.say(host.name, 'wakes');
    for (const clock of clocks) clock.slept(forMs);
    resume(clocks);
  }

  #call(host: DaemonHost, command: Command): void {
    const call = this.#callOf(host, command);
    const isOfProcess = command.options.has('pid');
    const pid = isOfProcess ? pidOf(command) : null;
    const say = (result: string) => {
      const who = pid === null ? '' : `${pid} `;
      this.#timeline.say(host.name, `${who}${callWords(command)} -> ${result}`);
    };
    if (call.reply === 'silence') this.#timeline.say(host.name, `${callWords(command)}`);
    const isAwaited = call.reply !== 'silence' && !command.words.includes('no-wait');
    if (isAwaited) this.#answerOf(host, call, pid, say);
    else host.call(call, pid, say);
  }

  #callOf(host: DaemonHost, command: Command): SanlockCall<number> {
    const { verb, words, options } = command;
    const name = options.get('lockspace') ?? 'LS';
    const lockspace = lockspaceOf(name, Number(options.get('host-id') ?? host.hostId));
    const resource = resourceOf(name, options.get('resource') ?? 'R1', flagsOf(words));
    switch (verb) {
      case 'add':
        return addLockspace(lockspace, { ioTimeoutS: this.#ioTimeoutS });
      case 'remove':
        return removeLockspace(lockspace, { onlyUnused: words.includes('unused') });
      case 'request':
        return request(resource, { forceMode: forceModeOf(options.get('mode')), nextLver: true });
      case 'hand-over':
        return handOver();
      case 'shutdown':
        return shutdown(words.includes('force') ? 1 : 0);
      case 'acquire':
        return acquire([resource], { orphan: words.includes('orphan') });
      case 'release':
        return release([resource]);
      default:
        assert(false, `there is a command ${verb}`);
    }
  }

  #answerOf(
    host: DaemonHost,
    call: SanlockCall<number>,
    pid: number | null,
    say: (result: string) => void,
  ): void {
    let isAnswered = false;
    host.call(call, pid, (result) => {
      isAnswered = true;
      say(result);
    });
    const untilMs = this.#clock.nowMs() + PATIENCE_MS;
    while (!isAnswered && this.#clock.nowMs() < untilMs) this.#step(host);
    if (!isAnswered) say('no answer');
  }

  #advance(ms: number): void {
    let isOver = false;
    this.#clock.after(ms, () => {
      isOver = true;
    });
    while (!isOver) this.#step();
  }

  #step(also?: DaemonHost): void {
    this.#clock.step();
    also?.poll();
    for (const host of this.#hosts.values()) host.poll();
  }
}

function kill(host: DaemonHost, { words }: Command): void {
  const [what] = words;
  if (what === 'wdmd') host.killWdmd();
  else if (what === 'lease-processes') host.killLeaseProcesses();
  else host.kill({ leaseProcessesStay: words.includes('lease-processes-stay') });
}

function resume(clocks: readonly ProcessClock[]): void {
  for (const clock of clocks) clock.resume();
}

function programOf(word: string | undefined): PausedProgram {
  if (word === 'sanlock' || word === 'lease-processes' || word === 'wdmd') return word;
  assert(word === 'machine', 'a program of the host or the whole machine is paused');
  return word;
}

function fireTimeoutS({ options }: Command): number {
  return durationMs(options.get('fire-timeout') ?? '60s') / SECOND_MS;
}

function pidOf(command: Command): number {
  return Number(command.options.get('pid') ?? 101);
}

function lockspaceOf(name: string, hostId: number): Lockspace {
  return { name, hostId: BigInt(hostId), path: pathOf(name), offset: 0n };
}

function resourceOf(lockspaceName: string, name: string, flags: number): Resource {
  const disks = [{ path: pathOf(lockspaceName), offset: BigInt(offsetOf(name)) }];
  return { lockspaceName, name, lver: 0n, flags, disks };
}

function forceModeOf(mode: string | undefined): number {
  assert(mode === 'graceful' || mode === 'force', 'a request is graceful or forced');
  return mode === 'force' ? 1 : 2;
}

function flagsOf(words: readonly string[]): number {
  const shared = words.includes('shared') ? RES_FLAGS.SHARED : 0;
  return shared | (words.includes('persistent') ? RES_FLAGS.PERSISTENT : 0);
}

function behaviorOf({ words, options }: Command): ProcessBehavior {
  const sigterm = options.get('sigterm');
  const does = options.get('killpath-does') ?? 'nothing';
  assert(does === 'nothing' || does === 'release' || does === 'end', 'killpath does one of these');
  return {
    sigtermS: sigterm === 'ignored' ? null : durationMs(sigterm ?? '0s') / SECOND_MS,
    isStuck: words.includes('stuck'),
    killpath: options.get('killpath') ?? null,
    killpathDoes: does,
  };
}

function callWords({ verb, words, options }: Command): string {
  const lockspace = options.get('lockspace') ?? 'LS';
  const flags = words.filter((word) => word !== 'no-wait').map((word) => ` ${word}`);
  if (verb === 'shutdown' || verb === 'hand-over') return `${verb}${flags.join('')}`;
  const isOfLease = verb === 'acquire' || verb === 'release' || verb === 'request';
  const name = isOfLease ? `${lockspace}:${options.get('resource') ?? 'R1'}` : lockspace;
  return `${verb} ${name}${flags.join('')}`;
}
