import type { Places } from './places.ts';
import type { User } from './users.ts';
import type { Verdict } from './verdict.ts';

function stepsOf(user: User, lease: string): number[] {
  const steps = user.saying('step').filter((event) => user.leaseOf(event) === lease);
  return steps.map(({ value }) => Number(value.slice(value.indexOf('=') + 1)));
}

/**
 * All steps under one lease, when its users have been killed: each value once, and the counter on
 * the disk has no step that nobody made, but for one of each user that was killed before its note.
 * `counter` null: it is in a value block.
 * @returns how many
 */
export function checkSteps(
  of: { readonly users: readonly User[]; readonly lease: string; readonly counter: number | null },
  verdict: Verdict,
): number {
  const { users, lease, counter } = of;
  const values = users.flatMap((user) => stepsOf(user, lease));
  const seen = new Set(values);
  if (seen.size !== values.length) {
    const twice = values.find((value, at) => values.indexOf(value) !== at);
    verdict.fail(`a step under lease ${lease} was lost: value ${twice} was counted twice`);
  }
  const end = counter ?? values.reduce((most, value) => Math.max(most, value), 0);
  if (end < values.length || end > values.length + users.length) {
    verdict.fail(`the counter of lease ${lease} is ${end} after ${values.length} steps`);
  }
  if (values.length === 0) verdict.fail(`nobody counted under lease ${lease}`);
  return values.length;
}

export function checkAllSteps(
  users: readonly User[],
  places: Places,
  leases: readonly { readonly name: string; readonly isInValueBlock: boolean }[],
  verdict: Verdict,
): number {
  let steps = 0;
  for (const { name, isInValueBlock } of leases) {
    const counter = isInValueBlock ? null : places.counter(name);
    const counting = users.filter((user) => user.counts.includes(name));
    steps += checkSteps({ users: counting, lease: name, counter }, verdict);
  }
  return steps;
}

/** Milliseconds between two steps of one user under one lease, at most. */
export function longestGapMs(users: readonly User[]): number {
  let longest = 0;
  for (const user of users) {
    const last = new Map<string, number>();
    for (const event of user.saying('step')) {
      const lease = user.leaseOf(event);
      longest = Math.max(longest, event.ms - (last.get(lease) ?? event.ms));
      last.set(lease, event.ms);
    }
  }
  return longest;
}
