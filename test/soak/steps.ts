import type { Places } from './places.ts';
import type { User } from './users.ts';
import type { Verdict } from './verdict.ts';

/** What the log of a user calls a step; the library's counters have one lease each. */
function stepsOf(user: User, lease: string): number[] {
  const values: number[] = [];
  for (const { value } of user.saying('step')) {
    const [name, number] = value.includes('=') ? value.split('=') : [user.counts[0], value];
    if (name === lease) values.push(Number(number));
  }
  return values;
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
    for (const { ms, value } of user.saying('step')) {
      const lease = value.includes('=') ? value.slice(0, value.indexOf('=')) : '';
      longest = Math.max(longest, ms - (last.get(lease) ?? ms));
      last.set(lease, ms);
    }
  }
  return longest;
}
