import type { Mutant } from './sim-mutants.ts';

/** Rules that runs in harsh weather ask for. */
export const HARSH_MUTANTS: readonly Mutant[] = [
  {
    what: 'a membership of a damaged journal is handed over',
    file: 'src/sanlock/survivors-restore.ts',
    from: 'if (damaged > 0) survivor.inherited.isWhole = false;',
    to: 'if (damaged < 0) survivor.inherited.isWhole = false;',
    by: 'harsh-resumption',
  },
  {
    what: 'a lockspace is joined after a journal that cannot be read',
    firstSeed: 98,
    file: 'src/sanlock/survivors-restore.ts',
    from: 'front.journalState.holdersUnknown = true;',
    to: 'front.journalState.holdersUnknown = false;',
    by: 'harsh-resumption',
  },
  {
    what: 'a membership of a journal without its leases is handed over',
    file: 'src/sanlock/holder-lines.ts',
    from: 'joinedS: 0, allLeases: false }',
    to: 'joinedS: 0, allLeases: true }',
    by: 'harsh-resumption',
  },
  {
    what: 'a journal of another boot counts',
    firstSeed: 61,
    file: 'src/sim/kernel/journal.ts',
    from: 'if (this.#ofBoot !== this.#boot) return { lines',
    to: 'if (this.#ofBoot > this.#boot) return { lines',
    by: 'harsh-resumption',
  },
  {
    what: 'the users of a membership that cannot go on are not stopped',
    file: 'src/sanlock/survivors-stop.ts',
    from: 'return front.claimAgeMs(survivor) >= leaseTimes(survivor.space.ioTimeoutS).renewalFailMs;',
    to: 'return front.claimAgeMs(survivor) < 0 && leaseTimes !== null;',
    by: 'harsh-resumption',
  },
  {
    what: 'a daemon whose users live goes on with the record of another host',
    firstSeed: 70,
    file: 'src/lease/delta-resume.ts',
    from: 'leader.ownerGeneration === left.generation &&',
    to: '',
    by: 'harsh-resumption',
    also: [
      {
        file: 'src/sanlock/resuming.ts',
        from: 'const isSame = message.generation === BigInt(survivor.generation);',
        to: 'const isSame = message.generation > 0n;',
      },
    ],
  },
  {
    what: 'the time asleep does not count for the users of an earlier daemon',
    firstSeed: 149,
    file: 'src/sanlock/front.ts',
    from: 'return this.bootMs - claim.claimedBootMs;',
    to: 'return this.nowMs - claim.claimedBootMs;',
    by: 'harsh-resumption',
  },
  {
    what: 'sanlock does not come back to the next wdmd',
    firstSeed: 41,
    file: 'src/sanlock/watchdog.ts',
    from: "if (link?.state === 'lost') rearm(front, space, link);",
    to: '',
    by: 'harsh-resumption',
  },
  {
    what: 'a daemon that is started beside another one does not ask for the lock of the pid file',
    file: 'src/ports/start-steps.ts',
    from: 'if (!isLocked) {',
    to: 'if (isLocked === null) {',
    by: 'raced-resumption',
  },
  {
    what: 'a daemon that is started beside another one does not ask who answers at the socket',
    file: 'src/ports/start-steps.ts',
    from: "if (yield 'isServed') return 'busy';",
    to: "yield 'isServed';",
    by: 'raced-resumption',
  },
  {
    what: 'a daemon reads the journal before it knows that it is alone',
    file: 'src/programs/sanlock-program.ts',
    from: 'this.#listener = sockets.listen(',
    to: 'journal.load();\n    this.#listener = sockets.listen(',
    by: 'raced-resumption',
  },
];
