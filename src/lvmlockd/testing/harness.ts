import assert from 'node:assert/strict';
import { parseConfig, textOf } from '../../wire/lvmlockd/libdaemon.ts';
import { LD_RESULT } from '../../wire/lvmlockd/numbers.ts';
import { type DaemonEvent, stepDaemon } from '../daemon.ts';
import { LIMITS, type Limits } from '../limits.ts';
import {
  type AdoptedLock,
  type FoundSpace,
  type HostSeen,
  type HostsOutcome,
  type LeaveHow,
  type LockManager,
  type LockOutcome,
  type ManagerSpace,
  OK,
  type Outcome,
  type Presence,
  type ReattachOutcome,
  type ResourceRef,
  type RivalWatch,
  type SpaceNotices,
} from '../managers/manager.ts';
import { registryOf } from '../managers/registry.ts';
import {
  type ActiveLvReply,
  done,
  type ManagerSteps,
  type ProgramReply,
} from '../managers/steps.ts';
import { type ManagerTraits, TRAITS } from '../managers/traits.ts';
import { type DaemonState, type KillAction, newState } from '../state.ts';
import { FakeMapper } from './fake-mapper.ts';

const GRANTED: LockOutcome = { ...OK, retry: false, version: 0, glEnabled: null };

/** A lock manager that does what the test says. */
export class FakeManager {
  prepareResult = 0;
  joinResult = 0;
  /** What is seen of another host that had the host id; empty: there was none. */
  rivals: RivalWatch[] = [];
  /** Does it have the lockspaces that the daemon has started? */
  presence: Presence = 'joined';
  watched: 'watching' | 'absent' | 'unwatched' = 'watching';
  leaveResult = 0;
  confirmsLeave = true;
  answers = true;
  glIn: readonly string[] = ['a'];
  adopted: readonly AdoptedLock[] = [];
  notAdopted: readonly string[] = [];
  /** Of the VG, in device-mapper; null: not known. */
  activeLvs: readonly string[] | null = null;
  leasedLvs: readonly ResourceRef[] = [];
  found: readonly FoundSpace[] = [];
  dying: readonly string[] = [];
  locks: LockOutcome[] = [];
  /** Of locks that were refused. */
  holders: HostSeen[] = [];
  membership: HostSeen | null = null;
  prevGeneration = 0;
  unlocks: Outcome[] = [];
  switches: Outcome[] = [];
  converts: Outcome[] = [];
  frees: Outcome[] = [];
  otherHosts: HostsOutcome = { ...OK, unknown: false };
  /** Of attempts to attach the locks; then the lock manager does not know the lockspace. */
  reattached: ReattachOutcome[] = [];
  /** VGs whose leases a restarted sanlock keeps. */
  readonly kept = new Set<string>();
  /** VGs whose slot of the global lock cannot be read. */
  readonly unreadable = new Set<string>();
  traits: ManagerTraits = TRAITS.sanlock;
  /** Hosts tell each other what to refresh. */
  hearsHosts = false;
  tells: Outcome[] = [];
  /** Of the VG's LVs; null: not known. */
  devices: readonly ActiveLvReply[] | null = [];
  /** Programs that are run; there are none here, unless the test has them. */
  program: (words: readonly string[]) => ProgramReply = () => ({
    ...{ status: 127, output: '', trouble: 'not found' },
  });
  readonly did: string[] = [];
  /** Behind which lease each init_lv was to search; '': from the first. */
  readonly behind: string[] = [];
  /** What the lock manager holds for the daemon. */
  readonly holding = new Set<string>();

  manager(): LockManager {
    return {
      lockType: 'sanlock',
      traits: this.traits,
      advice: { notRunning: 'start it', keptLocks: 'release them' },
      patienceMs: 80_000,
      isRunning: () => done(true),
      initVg: (vg) => {
        this.did.push(`initVg ${vg.vgName}`);
        return done({ ...OK, vgLockArgs: `1.0.0:${vg.vgLockArgs}` });
      },
      open: (vg) => this.#space(vg.vgName),
      renameVg: (vg) => {
        this.did.push(`renameVg ${vg.vgName}`);
        return done(OK);
      },
      findSpaces: () => done({ answered: this.answers, spaces: this.answers ? this.found : [] }),
      findLosses: () => done({ answered: this.answers, dying: this.dying }),
      refreshLv: this.traits === TRAITS.dlm ? (path) => this.#refresh(path) : null,
      releaseKept: (vgName) => {
        this.did.push(`release kept ${vgName}`);
        const result = this.kept.delete(vgName) ? 0 : LD_RESULT.ENOLS;
        return done({ result, lmResult: result, keepsNothing: this.answers });
      },
      spaceName: (vgName) => `lvm_${vgName}`.slice(0, 48),
    };
  }

  #switch(vgName: string, enable: boolean): Outcome {
    this.did.push(`${enable ? 'enable' : 'disable'} gl ${vgName}`);
    const outcome = this.switches.shift() ?? OK;
    const others = this.glIn.filter((name) => name !== vgName);
    if (outcome.result === 0) this.glIn = enable ? [...others, vgName] : others;
    return outcome;
  }

  #refresh(path: string): ManagerSteps<Outcome> {
    this.did.push(`refresh ${path}`);
    return done(OK);
  }

  #notices(): SpaceNotices {
    return {
      tell: ({ lvMark }) => {
        this.did.push(`tell ${lvMark === '' ? 'all' : lvMark}`);
        return done(this.tells.shift() ?? OK);
      },
      shownMs: 60_000,
      devices: () => done(this.devices),
    };
  }

  #initLv(behind: string) {
    this.behind.push(behind);
    return done({ ...OK, lvLockArgs: '1.0.0:70254592' });
  }

  #space(vgName: string): ManagerSpace {
    return {
      leaseDevice: `${vgName}-lvmlock`,
      prepare: () => {
        const glEnabled = this.glIn.includes(vgName);
        const { prevGeneration } = this;
        const mayBeTaken = this.rivals.length > 0;
        const seen = { prevGeneration, mayBeTaken };
        return done({ result: this.prepareResult, lmResult: 0, glEnabled, ...seen });
      },
      join: () => {
        const { joinResult: result, adopted, notAdopted } = this;
        return done({ result, lmResult: 0, adopted, notAdopted });
      },
      ...{ activeLvs: () => done(this.activeLvs), leasedLvs: () => done(this.leasedLvs) },
      cancel: () => {
        this.did.push(`cancel ${vgName}`);
        return done(undefined);
      },
      watchRival: () => done(this.rivals.shift() ?? { found: 'over' }),
      presence: () => done(this.presence),
      watch: () => done(this.watched),
      leave: (how: LeaveHow) => {
        this.did.push(`leave ${vgName} held ${how.held.length}`);
        for (const one of this.holding) if (one.startsWith(`${vgName}/`)) this.holding.delete(one);
        const { leaveResult: result, confirmsLeave: confirmed } = this;
        return done({ result, lmResult: 0, confirmed: result === 0 && confirmed });
      },
      abandon: () => done(undefined),
      lock: (ref, mode, checkGl, _repair, adopt) => {
        const how = `${checkGl ? ' checkGl' : ''}${adopt === 'only' ? ' only' : ''}`;
        this.did.push(`lock ${ref.name} ${mode}${how}`);
        return done(this.#locked(`${vgName}/${ref.name}`));
      },
      convert: (held, mode) => {
        this.did.push(`convert ${held.resource.name} ${mode}`);
        return done(this.converts.shift() ?? OK);
      },
      unlock: (held) => {
        this.did.push(`unlock ${held.resource.name}`);
        this.holding.delete(`${vgName}/${held.resource.name}`);
        return done(this.unlocks.shift() ?? OK);
      },
      freeLv: ({ name, lvLockArgs }) => {
        this.did.push(`free ${name} ${lvLockArgs}`);
        return done(this.frees.shift() ?? OK);
      },
      findFree: () => done(OK),
      initLv: (_lvUuid, _isAgain, behind = '') => this.#initLv(behind),
      reattach: (held) => {
        const names = held.map(({ lock }) => `${lock.resource.name} ${lock.mode}`).join(', ');
        this.did.push(`reattach ${vgName}: ${names}`);
        return done(this.reattached.shift() ?? { found: 'absent', lost: [] });
      },
      readGl: () => done(this.unreadable.has(vgName) ? null : this.glIn.includes(vgName)),
      switchGl: (enable) => done(this.#switch(vgName, enable)),
      ...this.#hosts(),
    };
  }

  #locked(name: string): LockOutcome {
    const outcome = this.locks.shift() ?? GRANTED;
    if (outcome.result === 0) this.holding.add(name);
    return outcome;
  }

  #hosts(): Pick<ManagerSpace, 'holder' | 'membership' | 'otherHosts' | 'notices'> {
    return {
      notices: this.hearsHosts ? this.#notices() : null,
      holder: (ref) => {
        this.did.push(`holder of ${ref.name}`);
        return done(this.holders.shift() ?? null);
      },
      membership: () => done(this.membership),
      otherHosts: () => done(this.otherHosts),
    };
  }
}

/** Of the client that asks for the state. */
const DUMPER = 999;

/** A daemon over the fake manager; procedures end at once, unless the test holds them back. */
export class Harness {
  readonly fake = new FakeManager();
  readonly mapper = new FakeMapper();
  readonly state: DaemonState;
  readonly replies: string[] = [];
  /** What an earlier lvm is sent instead; undefined: the same. */
  readonly forOld: (string | undefined)[] = [];
  /** The events that were logged, but for those of the level debug. */
  readonly logged: string[] = [];
  /** Whom the replies went to. */
  readonly answered: number[] = [];
  readonly held: (() => void)[] = [];
  holdBack = false;
  /** Of the lvm that asks. */
  freesAfterCommit = false;
  /** Procedures that were held back and have ended. */
  done = 0;
  dumped = '';
  /** The exit status, once ended. */
  ended: number | null = null;
  /** As it was written last. */
  adoptFile: string | null = null;
  #nowMs = 0;

  constructor(
    more: {
      readonly adoptFile?: string;
      readonly found?: readonly FoundSpace[];
      readonly limits?: Partial<Limits>;
      readonly traits?: ManagerTraits;
      readonly killAction?: KillAction;
      /** Before the daemon starts. */
      readonly set?: (harness: Harness) => void;
    } = {},
  ) {
    this.fake.found = more.found ?? [];
    this.fake.traits = more.traits ?? TRAITS.sanlock;
    const settings = {
      globalLockType: null,
      hostId: 1,
      adopt: true,
      killAction: more.killAction ?? 'error',
    };
    const managers = registryOf(this.fake.manager());
    this.state = newState(settings, managers, { ...LIMITS, ...more.limits });
    more.set?.(this);
    this.post({ kind: 'started', adoptFile: more.adoptFile ?? null });
  }

  post(event: DaemonEvent): void {
    this.#nowMs += 1;
    for (const effect of stepDaemon(this.state, event, this.#nowMs)) {
      if (effect.kind === 'log' && effect.level !== 'debug') this.logged.push(effect.event);
      if (effect.kind === 'send') {
        this.replies.push(effect.text);
        this.forOld.push(effect.textForOld);
        this.answered.push(effect.clientId);
      }
      if (effect.kind === 'dump') this.dumped = effect.text;
      if (effect.kind === 'adoptFile') this.adoptFile = effect.text;
      if (effect.kind === 'exit') this.ended = effect.status;
      else if (effect.kind === 'run') {
        const end = () => {
          const outcome = this.mapper.run(effect.steps, (words) => this.fake.program(words));
          this.post({ kind: 'taskDone', taskId: effect.taskId, outcome });
        };
        if (this.holdBack) this.held.push(end);
        else end();
      }
    }
  }

  /** Time passes, to the next moment that the daemon waits for. */
  passTo(nowMs: number): void {
    this.#nowMs = Math.max(this.#nowMs, nowMs);
    this.post({ kind: 'tick' });
  }

  /** So much time passes. */
  pass(forMs: number): void {
    this.passTo(this.#nowMs + forMs);
  }

  /** Procedures end one after another, also those that begin meanwhile. */
  finish(atMost = Number.POSITIVE_INFINITY): void {
    for (let ended = 0; ended < atMost; ended++) {
      const end = this.held.shift();
      if (end === undefined) return;
      this.done += 1;
      end();
    }
  }

  open(clientId: number): void {
    this.post({ kind: 'clientOpened', clientId, fd: 5, pid: 9 });
  }

  /** The state as `lvmlockctl -i` gets it. */
  dump(dumpForm: 'old' | 'new'): string {
    this.dumped = '';
    this.open(DUMPER);
    const asked = { kind: 'request', clientId: DUMPER, text: 'request="info"' } as const;
    this.post({ ...asked, dumpForm, freesAfterCommit: true });
    this.post({ kind: 'clientClosed', clientId: DUMPER });
    return this.dumped;
  }

  /** The reply's op_result and flags; 'none yet' while it is not answered. */
  ask(clientId: number, request: string): string {
    this.replies.length = 0;
    const { freesAfterCommit } = this;
    const form = { dumpForm: 'old', freesAfterCommit } as const;
    this.post({ kind: 'request', clientId, text: request, ...form });
    return this.lastReply();
  }

  lastReply(): string {
    return this.lastReplies().at(-1) ?? 'none yet';
  }

  lastReplies(): readonly string[] {
    return this.replies.map((text) => {
      const fields = parseConfig(text.replace('\n##\n', ''));
      assert.ok(fields.ok);
      return `${textOf(fields.value, 'op_result')} ${textOf(fields.value, 'result_flags')}`;
    });
  }

  start(vgName: string, clientId = 1): string {
    const args = 'vg_lock_type="sanlock" vg_lock_args="1.0.0:lvmlock" host_id=1';
    return this.ask(clientId, `request="start_vg" vg_name="${vgName}" ${args}`);
  }
}
