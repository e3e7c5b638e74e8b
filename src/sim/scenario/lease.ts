import { assert } from '../../base/assert.ts';
import type { Result } from '../../base/result.ts';
import { SECOND_MS } from '../../base/units.ts';
import { GEOMETRY_512_1M } from '../../format/geometry.ts';
import { convertToExclusive, convertToShared } from '../../lease/convert.ts';
import type { LeaseError } from '../../lease/lease-error.ts';
import { paxosAcquire } from '../../lease/paxos-acquire.ts';
import type { PaxosHold } from '../../lease/paxos-hold.ts';
import { paxosRelease } from '../../lease/paxos-release.ts';
import type { Steps } from '../../lease/steps.ts';
import {
  acquaint,
  HARNESS_HOSTS,
  HARNESS_PLACE,
  type HarnessHost,
  type HarnessTask,
  ProcedureHarness,
  type WriteFate,
} from '../procedure-harness.ts';
import { type Command, runText, type ScenarioRunner } from './text.ts';
import { foldRepeats, Trace } from './trace.ts';

/**
 * A scenario of lease procedures, effect by effect. Its commands:
 *
 *   hosts N                      N hosts join one lockspace with one free lease (io timeout 10 s)
 *   acquire host=N [shared] [nowait] [pause-before="phase1 read"]
 *   release host=N    convert host=N to=shared|exclusive
 *   resume host=N [pause-before=…]    finish host=N (what a procedure left for later)
 *   unanswered host=N write="leader write" lands=now|late     land host=N
 *   die host=N    rejoin host=N    wait 141s
 *
 * @returns the same text with the traces as they are now
 */
export function runLeaseScenario(text: string): string {
  return runText(text, new Procedures());
}

/** One host's procedure in progress. */
interface Procedure {
  readonly task: HarnessTask<string>;
  readonly trace: Trace;
}

class Procedures implements ScenarioRunner {
  readonly #harness = new ProcedureHarness();
  readonly #hosts = new Map<number, HarnessHost>();
  readonly #procedures = new Map<number, Procedure>();
  readonly #holds = new Map<number, PaxosHold>();
  readonly #fates = new Map<number, { readonly label: string; readonly fate: WriteFate }>();

  #trace: string[] = [];

  run(command: Command): void {
    this.#trace.push(...this.#carryOut(command));
  }

  takeTrace(): readonly string[] {
    return foldRepeats(this.#trace.splice(0));
  }

  #carryOut(command: Command): string[] {
    const hostId = Number(command.options.get('host') ?? 0);
    switch (command.verb) {
      case 'hosts':
        for (let n = 1; n <= Number(command.words[0]); n++)
          this.#hosts.set(n, this.#harness.join(n));
        acquaint([...this.#hosts.values()]);
        return [];
      case 'wait':
        this.#harness.nowMs += Number.parseFloat(command.words[0] ?? '0') * SECOND_MS;
        return [];
      case 'die':
        this.#host(hostId).diedMs = this.#harness.nowMs;
        return [];
      case 'rejoin':
        this.#host(hostId).join();
        return [`${hostId} joined generation=${this.#host(hostId).generation}`];
      case 'land':
        this.#host(hostId).land();
        return [`${hostId} late writes land`];
      case 'unanswered': {
        const fate = command.options.get('lands') === 'late' ? 'late' : 'landed';
        this.#fates.set(hostId, { label: command.options.get('write') ?? '', fate });
        return [];
      }
      default:
        return this.#procedure(hostId, command);
    }
  }

  #host(hostId: number): HarnessHost {
    const host = this.#hosts.get(hostId);
    assert(host !== undefined, `host ${hostId} is in the scenario`);
    return host;
  }

  #procedure(hostId: number, command: Command): string[] {
    const host = this.#host(hostId);
    if (command.verb === 'finish') {
      return host.rest.splice(0).flatMap((rest) => this.#start(hostId, restSteps(rest()), command));
    }
    if (command.verb === 'resume') return this.#advance(hostId, command);
    return this.#start(hostId, this.#steps(host, command), command);
  }

  #start(hostId: number, steps: Steps<string>, command: Command): string[] {
    this.#procedures.set(hostId, { task: this.#host(hostId).task(steps), trace: new Trace() });
    return this.#advance(hostId, command);
  }

  *#steps(host: HarnessHost, command: Command): Steps<string> {
    const { hostId } = host;
    const hold = this.#holds.get(hostId);
    if (command.verb === 'acquire') {
      const shared = command.words.includes('shared');
      const got = yield* paxosAcquire(host.member(), HARNESS_PLACE, {
        shared,
        ownerNowait: command.words.includes('nowait'),
        wantedLver: null,
        newNumHosts: null,
        guess: { geometry: GEOMETRY_512_1M, numHosts: HARNESS_HOSTS },
      });
      if (!got.ok) return refused(got.error.error);
      this.#holds.set(hostId, got.value);
      return `acquired ${shared ? 'shared ' : ''}lver=${got.value.leader.lver}`;
    }
    assert(hold !== undefined, `host ${hostId} holds the lease`);
    if (command.verb === 'release') {
      const done = yield* paxosRelease(host.member(), hold, { lvb: null, rename: null });
      this.#holds.delete(hostId);
      return done.ok ? 'released' : refused(done.error);
    }
    assert(command.verb === 'convert', `there is a command ${command.verb}`);
    const toShared = command.options.get('to') === 'shared';
    const got: Result<PaxosHold, { error: LeaseError }> = toShared
      ? yield* convertToShared(host.member(), hold, null)
      : yield* convertToExclusive(host.member(), hold, true);
    if (!got.ok) return refused(got.error.error);
    this.#holds.set(hostId, got.value);
    return `converted to ${toShared ? 'shared' : 'exclusive'}`;
  }

  #advance(hostId: number, command: Command): string[] {
    const procedure = this.#procedures.get(hostId);
    assert(procedure !== undefined, `host ${hostId} has something to resume`);
    const host = this.#host(hostId);
    const pauseBefore = command.options.get('pause-before');
    const lines: string[] = [];
    for (let effect = procedure.task.wants; effect !== null; effect = procedure.task.wants) {
      const label = procedure.trace.label(effect);
      if (label === pauseBefore) return [...lines, `${hostId} pauses before ${label}`];
      const planned = this.#fates.get(hostId);
      host.fate = () => (planned?.label === label ? planned.fate : 'done');
      if (planned?.label === label) this.#fates.delete(hostId);
      const reply = procedure.task.step();
      assert(reply !== null, 'an effect has a reply');
      lines.push(`${hostId} ${procedure.trace.line(effect, reply)}`);
    }
    this.#procedures.delete(hostId);
    return [...lines, `${hostId} ${procedure.task.result}`];
  }
}

function refused(error: LeaseError): string {
  return `refused ${error.errno === undefined ? error.code : `errno ${error.errno}`}`;
}

function* restSteps(rest: Steps<void>): Steps<string> {
  yield* rest;
  return 'finished';
}
