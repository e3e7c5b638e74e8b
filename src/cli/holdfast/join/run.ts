import { unreachable } from '../../../base/assert.ts';
import { fail, ok, type Result } from '../../../base/result.ts';
import { type JoinPlan, type JoinStep, joinPlan } from '../../../inspect/join/join-plan.ts';
import { textDiff } from '../../../inspect/join/text-diff.ts';
import { findDaemon, until } from '../../observe/daemons.ts';
import type { PlannedStep } from '../planned/planned.ts';
import { writeConf } from '../vg/conf-file.ts';
import { localPorts } from '../vg/local-daemons.ts';
import { lvm } from '../vg/lvm.ts';
import { systemctl } from '../vg/services.ts';
import { type StartOrder, startVg } from '../vg/start-vg.ts';
import { ANSWERS_WITHIN_MS, LOOK_MS, MINUTE_MS } from '../vg/times.ts';
import { type JoinSight, type JoinWish, seeForJoin } from './facts.ts';

/** Hosts that join at once lose to each other in turn; each time one of them has its id. */
const MAX_LOSSES = 20;
const DAEMON_UNITS = ['wdmd', 'sanlock', 'lvmlockd'] as const;

/** What this host becomes, while the steps are made. */
export class JoinRun {
  readonly #wish: JoinWish;
  readonly #newName: string;
  #sight: JoinSight;
  #plan: JoinPlan;
  readonly #lost: number[] = [];
  /** VGs that this run has started. */
  readonly #started: string[] = [];

  constructor(
    wish: JoinWish,
    from: { readonly sight: JoinSight; readonly plan: JoinPlan; readonly newName: string },
  ) {
    this.#wish = wish;
    this.#sight = from.sight;
    this.#plan = from.plan;
    this.#newName = from.newName;
  }

  get hostId(): number {
    return this.#plan.hostId;
  }

  get hostName(): string {
    return this.#plan.hostName;
  }

  /** Host ids that other hosts took meanwhile. */
  get lost(): readonly number[] {
    return this.#lost;
  }

  steps(): readonly PlannedStep[] {
    return this.#plan.steps.map((step) => ({
      ...this.#shown(step),
      run: (progress) => this.#perform(step, progress),
    }));
  }

  #shown(step: JoinStep): Pick<PlannedStep, 'what' | 'detail'> {
    switch (step.kind) {
      case 'edit': {
        const diff = textDiff(step.path, this.#sight.conf[step.conf].text, step.text);
        return { what: `edit ${step.path}`, detail: diff.split('\n') };
      }
      case 'services': {
        const units = step.units.join(' ');
        return { what: `enable and start ${units}`, detail: [`systemctl enable ${units}`] };
      }
      case 'restartSanlock':
        return {
          what: 'restart sanlock, which has no lockspace, for its name',
          detail: ['systemctl restart sanlock'],
        };
      case 'startUnit':
        return { what: `start ${step.unit}`, detail: [`systemctl start ${step.unit}`] };
      case 'startVg': {
        const what = `start VG ${step.vg} with host id ${this.hostId}`;
        const wait = `${step.waitS} s or more: ${step.why}`;
        return { what, detail: [`vgchange --lock-start ${step.vg}`, wait] };
      }
      default:
        return unreachable(step);
    }
  }

  async #perform(
    step: JoinStep,
    progress: (text: string) => void,
  ): Promise<Result<string, string>> {
    switch (step.kind) {
      case 'edit':
        return writeConf(this.#sight.conf[step.conf], step.text);
      case 'services':
        return startServices(step.units, progress);
      case 'restartSanlock': {
        const done = await systemctl('restart', 'sanlock');
        return done.ok ? awaitDaemons(['sanlock'], progress) : done;
      }
      case 'startUnit': {
        const done = await systemctl('start', step.unit);
        return done.ok ? ok(`${step.unit} starts these VGs at boot`) : done;
      }
      case 'startVg':
        return this.#start(step, progress);
      default:
        return unreachable(step);
    }
  }

  async #start(
    step: { readonly vg: string; readonly waitS: number; readonly why: string },
    progress: (text: string) => void,
  ): Promise<Result<string, string>> {
    if (this.#started.includes(step.vg)) return ok(`VG ${step.vg} is started already`);
    const vg = this.#sight.vgs.find(({ name }) => name === step.vg);
    if (vg === undefined) return fail(`lvm does not see VG ${step.vg} any more`);
    const order: StartOrder = { vg, hostId: this.hostId, waitS: step.waitS, why: step.why };
    const end = await startVg(order, progress);
    switch (end.kind) {
      case 'joined':
        this.#started.push(step.vg);
        return ok(`VG ${step.vg} is started, after ${end.tookS} s, with host id ${this.hostId}`);
      case 'failed':
        return fail(end.why);
      case 'lost':
        return this.#again(step.vg, end.to, progress);
      default:
        return unreachable(end);
    }
  }

  /** Another host has the id: what was started with it is stopped, and another id is taken. */
  async #again(
    vg: string,
    to: string,
    progress: (text: string) => void,
  ): Promise<Result<string, string>> {
    const id = this.hostId;
    const lost = `host ${to} took host id ${id} at the same time`;
    if (this.#wish.hostId !== null) return fail(`${lost}, and no other is wanted (--host-id)`);
    this.#lost.push(id);
    if (this.#lost.length > MAX_LOSSES) return fail(`${lost}, and ${MAX_LOSSES} before it`);
    progress(`VG ${vg}: ${lost}, another one is looked for`);
    const again = [...this.#started.splice(0), vg];
    for (const name of again) await lvm(['vgchange', '--lock-stop', name], MINUTE_MS);
    const sight = await seeForJoin(this.#wish, { newName: this.#newName, lost: this.#lost });
    if (!sight.ok) return sight;
    const plan = joinPlan(sight.value.facts);
    if (!plan.ok) return fail(`${lost}; ${plan.error.join('; ')}`);
    this.#sight = sight.value;
    this.#plan = plan.value;
    for (const step of plan.value.steps) {
      if (step.kind !== 'edit') continue;
      const written = await this.#perform(step, progress);
      if (!written.ok) return written;
    }
    for (const step of plan.value.steps) {
      if (step.kind !== 'startVg' || !again.includes(step.vg)) continue;
      const started = await this.#start(step, progress);
      if (!started.ok) return started;
    }
    return ok(`${lost}; this host has host id ${this.hostId} now, and VG ${vg} is started`);
  }
}

async function startServices(
  units: readonly string[],
  progress: (text: string) => void,
): Promise<Result<string, string>> {
  const daemons = DAEMON_UNITS.filter((name) => units.includes(name));
  for (const words of [['enable', ...units] as const, ['start', ...daemons] as const]) {
    const done = await systemctl(...words);
    if (!done.ok) return done;
  }
  return awaitDaemons(daemons, progress);
}

async function awaitDaemons(
  names: readonly (typeof DAEMON_UNITS)[number][],
  progress: (text: string) => void,
): Promise<Result<string, string>> {
  const ports = localPorts();
  for (const name of names) {
    progress(`waiting for ${name} to answer`);
    const isThere = async () => (await findDaemon(ports, name)) !== null;
    const within = { ms: ANSWERS_WITHIN_MS, everyMs: LOOK_MS };
    if (!(await until(ports.clock, isThere, within))) return fail(`${name} does not answer`);
  }
  return ok(`${names.join(', ')} answer`);
}
