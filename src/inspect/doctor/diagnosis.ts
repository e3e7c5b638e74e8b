import type { Finding } from '../../base/finding.ts';
import { KINDS, type Kind } from './kinds.ts';

/** Something that is wrong with a host, as `holdfast doctor` tells it. */
export interface Diagnosis extends Pick<Finding, 'weight' | 'found'> {
  /** One of `KINDS`; of a guest's finding `guest.` and the kind that the guard's check gives it. */
  readonly kind: Kind | `guest.${string}`;
  /** What it is about: a VG, a daemon, a path; '' where it is the host. */
  readonly about: string;
  /** What was seen, exactly: file and line, field and value. */
  readonly evidence: readonly string[];
  readonly cause: string;
  /** In their order. */
  readonly plan: readonly Step[];
}

/**
 * One thing to do. `safe`: it releases no lock and stops nothing that works, so `--fix` does it.
 * All else is an administrator's: `why` says what it could cost.
 */
export type Step =
  | { readonly kind: 'safe'; readonly does: string; readonly fix: Fix }
  | {
      readonly kind: 'manual';
      readonly does: string;
      /** To type; null: there is no one command for it. */
      readonly command: string | null;
      readonly why: string;
    };

/** What `--fix` can do; each is checked again by whoever does it. */
export type Fix =
  | { readonly kind: 'startUnit' | 'enableUnit'; readonly unit: string }
  | { readonly kind: 'loadModule'; readonly module: string }
  | { readonly kind: 'startVg'; readonly vg: string }
  /** Takes the lock of an LV that is active without, if no host has it. */
  | { readonly kind: 'lockLv'; readonly lv: string }
  /** lvmlockd mends slots of a VG that nobody can hold, under the VG lock. */
  | { readonly kind: 'mendSlots'; readonly vg: string }
  /** A pid file or socket that no process uses. */
  | { readonly kind: 'removeRunFile'; readonly path: string }
  /** The kernel refuses it while something has the mapping open. */
  | { readonly kind: 'removeMapping'; readonly name: string; readonly uuid: string }
  | {
      readonly kind: 'setOwner';
      readonly path: string;
      /** Where its lockspace begins: a file without one is not given away. */
      readonly offsetBytes: number;
      readonly uid: number;
      readonly gid: number;
    };

/** What the rule of a kind adds to what is the same of all findings of that kind. */
export interface Found {
  readonly found: string;
  readonly about?: string;
  readonly evidence: readonly string[];
  readonly plan: readonly Step[];
  /** Where it is not that of the kind. */
  readonly weight?: Finding['weight'];
}

export function diagnosis(kind: Kind, { found, about, evidence, plan, weight }: Found): Diagnosis {
  const of = KINDS[kind];
  const { cause } = of;
  return { kind, weight: weight ?? of.weight, about: about ?? '', found, evidence, cause, plan };
}

export function safe(does: string, fix: Fix): Step {
  return { kind: 'safe', does, fix };
}

export function manual(does: string, command: string | null, why: string): Step {
  return { kind: 'manual', does, command, why };
}
