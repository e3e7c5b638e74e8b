import { ERRNO } from '../../base/errno.ts';
import { ok } from '../../base/result.ts';
import { newGuard, nextTickMs, stepGuard } from '../daemon.ts';
import type { Outcome } from '../guest-state.ts';
import type { DiskLease } from '../lease-names.ts';
import type { LeaseEffect, LeaseSteps, Lent, Seen } from '../lease-steps.ts';
import type { GuardEffect, GuardEvent, GuardState } from '../state.ts';

/** A guest of one network disk, as a hook is given it. */
export function guestXml(name: string, uuid: string, more = ''): string {
  return (
    `<domain><name>${name}</name><uuid>${uuid}</uuid>${more}<devices><disk type='network'>` +
    `<source protocol='nbd' name='${name}'><host name='s'/></source><target dev='vda'/>` +
    '</disk></devices></domain>'
  );
}

/** Its status file. */
export function statusXml(
  xml: string,
  of: {
    readonly pid?: number;
    readonly state?: string;
    readonly reason?: string;
    readonly job?: string;
  } = {},
): string {
  const { pid = 100, state = 'running', reason = 'unpaused', job = '' } = of;
  const inside = job === '' ? '' : `<job async='${job}'/>`;
  return `<domstatus state='${state}' reason='${reason}' pid='${pid}'>${inside}${xml}</domstatus>`;
}

/** The lease of the guest of that name. */
export function leaseOf(name: string): DiskLease {
  return { name: hex(name), key: `nbd:s/${name}`, target: 'vda', mode: 'exclusive' };
}

function hex(name: string): string {
  return [...name]
    .map((c) => c.charCodeAt(0).toString(16))
    .join('')
    .padEnd(32, '0');
}

/** A guard whose keepers start at once, and whose sanlock answers as it is told: 0 where not. */
export class GuardHarness {
  nowMs = 1000;
  /** By what is asked: 'acquire', 'convert', … */
  readonly codes = new Map<LeaseEffect['kind'], number>();
  /** Of one effect; null: as `codes` says. */
  codeOf: (effect: LeaseEffect) => number | null = () => null;
  /** Whether acquires are not answered. */
  isMute = false;
  /** null: it does not say. */
  seen: Seen | null = {
    ...{ held: new Map(), orphans: new Map(), byOthers: new Map() },
    ...{ isRegistered: true, isGone: false },
  };
  /** What getLender says; null: nothing. */
  lent: Lent | null = null;
  /** Of a QEMU that libvirt's pid files name. */
  foundPid: number | null = null;
  /** Whether names of disks come only when the test says so. */
  namesLater = false;
  /** Whether keepers are there only when the test says so. */
  keepersLater = false;
  readonly #state: GuardState;
  readonly #events: GuardEvent[] = [];
  /** All effects but for those that are answered here. */
  readonly said: GuardEffect[] = [];
  readonly asked: string[] = [];
  #nextHook = 1;

  constructor(policies: Partial<Pick<GuardState, 'onConflict' | 'onReconnect'>> = {}) {
    this.#state = newGuard({ onConflict: 'kill', onReconnect: 'kill', ...policies });
  }

  get guests(): GuardState['guests'] {
    return this.#state.guests;
  }

  /** @returns what was said of it, the answered effects left out */
  tell(event: GuardEvent): readonly GuardEffect[] {
    const from = this.said.length;
    this.#events.push(event);
    for (let next = this.#events.shift(); next !== undefined; next = this.#events.shift()) {
      for (const effect of stepGuard(this.#state, next, this.nowMs)) this.#obey(effect);
    }
    return this.said.slice(from);
  }

  call(operation: string, xml: string): readonly GuardEffect[] {
    return this.tell({ kind: 'called', call: { hook: this.#nextHook++, operation, xml } });
  }

  status(name: string, xml: string | null): readonly GuardEffect[] {
    return this.tell({ kind: 'status', name, xml });
  }

  /** Until nothing is due within that time. */
  pass(forMs: number): readonly GuardEffect[] {
    const from = this.said.length;
    const untilMs = this.nowMs + forMs;
    for (let n = 0; n < 1000; n++) {
      const dueMs = nextTickMs(this.#state);
      if (dueMs === null || dueMs > untilMs) break;
      this.nowMs = Math.max(this.nowMs, dueMs);
      this.tell({ kind: 'tick' });
    }
    this.nowMs = untilMs;
    return this.said.slice(from);
  }

  /** What the guest's keeper has. */
  held(uuid: string): string {
    return [...(this.#state.guests.get(uuid)?.guest.holdings.values() ?? [])].join(' ');
  }

  #obey(effect: GuardEffect): void {
    switch (effect.kind) {
      case 'nameDisks': {
        const leases = effect.disks.map(({ source }) =>
          leaseOf('name' in source ? source.name : ''),
        );
        if (this.namesLater) this.said.push(effect);
        else this.#events.push({ kind: 'disksNamed', token: effect.token, leases: ok(leases) });
        return;
      }
      case 'startKeeper':
        if (this.keepersLater) this.said.push(effect);
        else this.#events.push({ kind: 'keeperStarted', uuid: effect.uuid });
        return;
      case 'work':
        this.#events.push({ kind: 'worked', uuid: effect.uuid, outcome: this.#run(effect.steps) });
        return;
      case 'findQemu':
        this.#events.push({ kind: 'qemuLookedFor', uuid: effect.uuid, pid: this.foundPid });
        return;
      default:
        this.said.push(effect);
    }
  }

  #seenOf(names: readonly string[]): Seen | null {
    if (this.seen === null) return null;
    const orphans = [...this.seen.orphans].filter(([name]) => names.includes(name));
    return { ...this.seen, orphans: new Map(orphans) };
  }

  #run(steps: LeaseSteps<Outcome>): Outcome {
    let turn = steps.next({ code: 0, nowMs: this.nowMs });
    while (turn.done !== true) {
      const effect = turn.value;
      if (effect.kind === 'sleep') this.nowMs += effect.forMs;
      else this.asked.push(effect.kind);
      const code = this.codeOf(effect) ?? this.codes.get(effect.kind) ?? 0;
      const seen = effect.kind === 'look' ? this.#seenOf(effect.names) : null;
      const isUnsure = this.isMute && effect.kind === 'acquire';
      const reply = isUnsure ? { code: -ERRNO.ETIMEDOUT, isUnsure } : { code };
      const lent = effect.kind === 'getLender' ? this.lent : null;
      const more = { ...(seen === null ? {} : { seen }), ...(lent === null ? {} : { lent }) };
      turn = steps.next({ ...reply, nowMs: this.nowMs, ...more });
    }
    return turn.value;
  }
}

/** The kinds of effects, and what is answered: `answer` for a granted hook, else its sentence. */
export function words(effects: readonly GuardEffect[]): readonly string[] {
  return effects.map((effect) => {
    switch (effect.kind) {
      case 'answer':
        return effect.text ?? 'granted';
      case 'refuse':
        return `refused ${effect.refusal.code}`;
      case 'log':
        return effect.event;
      default:
        return effect.kind;
    }
  });
}
