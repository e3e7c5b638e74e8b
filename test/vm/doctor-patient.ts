import assert from 'node:assert/strict';
import type { Diagnosis } from '../../src/inspect/doctor/diagnosis.ts';
import type { Kind } from '../../src/inspect/doctor/kinds.ts';
import type { SystemdHost } from './systemd-host.ts';

/** An emulated machine beside other tests has a tenth of a processor at times. */
const LOOK_MS = 900_000;
const MOST_TRIES = 5;
/** Of a machine that gets so little: they are no faults of the test. */
const OF_SLOW_MACHINES: readonly string[] = ['renewalSlow', 'renewalTimeouts', 'lockspaceLate'];

export interface Looked {
  readonly findings: readonly Diagnosis[];
  readonly fixed: readonly {
    readonly kind: string;
    readonly does: string;
    readonly failure: string | null;
  }[];
  /** What was not answered in time. */
  readonly unread: readonly unknown[];
}

/** A machine with systemd, as `holdfast doctor` sees it. */
export class Patient {
  readonly host: SystemdHost;

  constructor(host: SystemdHost) {
    this.host = host;
  }

  /** Runs it to its end, which must be a good one. @returns what it printed */
  shell(script: string): Promise<string> {
    return this.host.machine.shell(script, LOOK_MS);
  }

  /**
   * Looks again while something did not answer in time, and, with --fix, while one of these kinds
   * had no step: what did not answer to the look before the steps is not told after them.
   */
  async looks(option = '', kinds: readonly Kind[] = []): Promise<Looked> {
    const fixed: Looked['fixed'][number][] = [];
    for (let tries = 1; ; tries++) {
      const told = await this.shell(
        `holdfast doctor --json ${option} >/run/told || [ $? = 1 ]; cat /run/told`,
      );
      const looked: Looked = { fixed: [], ...JSON.parse(told) };
      fixed.push(...looked.fixed);
      const isWhole = kinds.every((kind) => fixed.some((one) => one.kind === kind));
      const isRead = looked.unread.length === 0;
      if ((isRead && isWhole) || tries === MOST_TRIES) return { ...looked, fixed };
    }
  }

  /** It finds each of these, with evidence and plan, and nothing else but notes. */
  async finds(...kinds: readonly Kind[]): Promise<Found> {
    const { findings } = await this.looks();
    for (const kind of kinds) {
      const found = findings.filter((one) => one.kind === kind);
      assert.ok(found.length > 0, `${kind}: ${shown(findings)}`);
      for (const { evidence, cause, plan } of found) {
        assert.ok(evidence.length > 0 && cause !== '' && plan.length > 0, shown(found));
      }
    }
    assert.deepEqual(worseThanNotes(findings, kinds), []);
    return new Found(findings);
  }

  /**
   * --fix performs a step for each of these, and no step fails. Afterwards it finds these others,
   * and nothing else but notes.
   */
  async fixes(kinds: readonly Kind[], left: readonly Kind[] = []): Promise<Found> {
    const { fixed, findings } = await this.looks('--fix', kinds);
    const told = shown({ fixed, findings });
    for (const kind of kinds)
      assert.ok(
        fixed.some((one) => one.kind === kind),
        `${kind}: ${told}`,
      );
    assert.deepEqual(
      fixed.filter(({ failure }) => failure !== null),
      [],
      told,
    );
    for (const kind of left)
      assert.ok(
        findings.some((one) => one.kind === kind),
        `${kind}: ${told}`,
      );
    assert.deepEqual(worseThanNotes(findings, left), []);
    return new Found(findings);
  }

  /** Types what the plan of a finding says. */
  async follows(found: Found, kind: Kind, about?: string): Promise<void> {
    await this.shell(found.commandOf(kind, about));
  }
}

export class Found {
  readonly findings: readonly Diagnosis[];

  constructor(findings: readonly Diagnosis[]) {
    this.findings = findings;
  }

  has(kind: Kind): boolean {
    return this.findings.some((one) => one.kind === kind);
  }

  of(kind: Kind, about?: string): Diagnosis {
    const found = this.findings.find(
      (one) => one.kind === kind && (about === undefined || one.about === about),
    );
    assert.ok(found !== undefined, `${kind} ${about ?? ''}: ${shown(this.findings)}`);
    return found;
  }

  /** What is to be typed: the last command of its plan. */
  commandOf(kind: Kind, about?: string): string {
    const { plan } = this.of(kind, about);
    const commands = plan.flatMap((step) => (step.kind === 'manual' ? [step.command] : []));
    const command = commands.filter((one) => one !== null).at(-1);
    assert.ok(command !== undefined, shown(plan));
    return command;
  }

  /** Whether --fix does nothing about it. */
  isLeftToPeople(kind: Kind, about?: string): boolean {
    return this.of(kind, about).plan.every((step) => step.kind === 'manual');
  }
}

function worseThanNotes(findings: readonly Diagnosis[], but: readonly Kind[]) {
  const kinds: readonly string[] = [...but, ...OF_SLOW_MACHINES];
  return findings.filter(({ kind, weight }) => weight !== 'note' && !kinds.includes(kind));
}

function shown(what: unknown): string {
  return JSON.stringify(what, null, 1);
}
