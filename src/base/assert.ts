/** A broken invariant: a bug of ours, never an answer. The process that sees one must stop. */
export class BrokenInvariant extends Error {
  override readonly name = 'BrokenInvariant';
}

/** Always on: the watchdog catches a stopped daemon, and nothing catches a wrong one. */
export function assert(holds: boolean, claim: string): asserts holds {
  if (!holds) throw new BrokenInvariant(`invariant broken: ${claim}`);
}

/** The `default:` of every switch over a union: a new member without a case fails to compile. */
export function unreachable(value: never): never {
  throw new BrokenInvariant(`unreachable case: ${JSON.stringify(value)}`);
}
