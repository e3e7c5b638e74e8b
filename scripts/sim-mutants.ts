import type { WorldOptions } from '../src/sim/cluster/options.ts';

/** Sectors that no host has written; most rules are asked for sooner without them. */
const STRAYS = { straysMs: 5000 };

export interface Edit {
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

export interface Mutant extends Edit {
  readonly what: string;
  /** A rule that is kept in several places is taken out of all. */
  readonly also?: readonly Edit[];
  /** Which of the simulator's worlds must find it; `world` unless said. */
  readonly by?:
    | 'silent-owner'
    | 'restarts'
    | 'late-wdmd'
    | 'wdmd-restarts'
    | 'resumption'
    | 'harsh-resumption'
    | 'raced-resumption';
  /** What makes a `world` ask for this rule most. */
  readonly world?: Partial<WorldOptions>;
  /** The seed that found it when it was last looked for: where few do, it is tried first. */
  readonly firstSeed?: number;
}

/** Numbers are made larger than can be, and no check comes before they are written. */
const ANY_NEXT_NUMBER: readonly Edit[] = [
  {
    file: 'src/lease/next-numbers.ts',
    from: 'const { lver, mbal } = next;',
    to: 'const { lver, mbal } = { ...next, lver: 1n, mbal: 1n };',
  },
  {
    file: 'src/lease/host-block.ts',
    from: 'assert(damageOfBlock(dblock, geometry) === null,',
    to: 'assert(damageOfBlock !== null,',
  },
  {
    file: 'src/lease/ballot-record.ts',
    from: 'assert(damageOfPaxos(leader) === null,',
    to: 'assert(damageOfPaxos !== null,',
  },
];

/** A host and its image, where only power cuts and orders end a host. */
const CLONES: Partial<WorldOptions> = {
  clones: 1,
  stalls: false,
  killWithLag: 0,
  storageFaults: ['prompt'],
  refusedWritesLand: 0,
  mistakenIds: 0,
};

/** An owner whose id cannot be is accepted, and gets a bit somewhere. */
const ANY_OWNER: readonly Edit[] = [
  {
    file: 'src/format/leader.ts',
    from: 'const damage = damageOf(paxosLeader, leader);',
    to: 'const damage = damageOf(paxosLeader, { ...leader, ownerId: 0n });',
  },
  {
    file: 'src/format/leader.ts',
    from: 'if (ownerId >= least && ownerId <= most) return null;',
    to: 'if (ownerId >= least) return null;',
  },
  {
    file: 'src/lease/request.ts',
    from: 'if (leader.ownerId > BigInt(member.lockspaceGeometry.maxHosts))',
    to: 'if (leader.ownerId < 0n)',
  },
  {
    file: 'src/format/host-bitmap.ts',
    from: 'if (!isHost(hostId)) return;\n  const byte = offset + BITMAP_OFFSET + Math.floor((hostId - 1) / 8);',
    to: 'const byte = offset + BITMAP_OFFSET + ((hostId - 1) >> 3);',
  },
];

/** Daemons that are killed and started again while their processes work on. */
const JOURNALS: Partial<WorldOptions> = {
  ...{ daemons: 1, mistakenIds: 0, refusedWritesLand: 0.6, faultIntervalMs: 80_000 },
};

/** Daemons that die again and again in the middle of what they do. */
const CRASHES: Partial<WorldOptions> = { ...JOURNALS, crashesMs: 30_000, refusedWritesLand: 0 };

/** Writes that are refused and land later, and hosts that leave and join again meanwhile. */
const REFUSED_WRITES: Partial<WorldOptions> = {
  ...{
    daemons: 1,
    refusedWritesLand: 0.9,
    storageFaults: ['cut', 'flaky'],
    faultIntervalMs: 80_000,
  },
  ...{ stalls: false, mistakenIds: 0 },
};

export const MUTANTS: readonly Mutant[] = [
  {
    what: 'a record under our own host name is taken at once',
    file: 'src/lease/delta-acquire.ts',
    from: 'isOwnName ? before.ownNameWatchMs',
    to: 'isOwnName ? 0',
    world: CLONES,
  },
  {
    what: 'a silent owner counts as dead at once',
    file: 'src/lease/owner-watch.ts',
    from: 'notSentBeforeMs - first.answeredMs > deadAfterMs',
    to: 'notSentBeforeMs - first.answeredMs > 0',
  },
  {
    what: 'an owner counts as silent from before its first sample was there',
    file: 'src/lease/owner-watch.ts',
    from: 'answeredMs: nowMs }',
    to: 'answeredMs: area.nowMs }',
    by: 'silent-owner',
  },
  {
    what: 'a sample counts for the time at which it is compared',
    file: 'src/lease/owner-watch.ts',
    from: 'notSentBeforeMs - first.answeredMs > deadAfterMs',
    to: 'nowMs - first.answeredMs > deadAfterMs',
    by: 'silent-owner',
  },
  {
    what: "a rival's larger ballot is overlooked",
    file: 'src/lease/ballot.ts',
    from: 'block.lver > own.lver || block.mbal > own.mbal',
    to: 'block.lver > own.lver',
  },
  {
    what: 'live sharers count as dead',
    file: 'src/lease/sharer.ts',
    from: 'if (view === null || sharerSeemsLive(member, block, nowMs)) return ok(true);',
    to: 'return ok(false);',
  },
  {
    what: 'the leader is freed before the shared mode is on disk',
    file: 'src/lease/paxos-acquire.ts',
    from: 'sharedGeneration: member.generation,',
    to: 'sharedGeneration: null,',
  },
  {
    what: 'values found in other blocks are not adopted',
    file: 'src/lease/ballot.ts',
    from: 'const proposed = adoptable(blocks, own.lver);',
    to: 'const proposed = adoptable([], own.lver);',
  },
  {
    what: 'the daemon leaves a lockspace while its users still run',
    file: 'src/sanlock/lockspace-step.ts',
    from: 'if (!isGone(phase, usage)) return',
    to: 'if (!isGone(phase, usage) && first.length > 0) return',
    firstSeed: 48,
  },
  {
    what: 'a lease is written after own expiry',
    file: 'src/programs/lease-program.ts',
    from: 'const mayWrite = () => !this.#closed && this.#membership?.hasEnded() !== true',
    to: 'const mayWrite = () => !this.#closed',
    firstSeed: 33,
  },
  {
    what: 'a release writes our block as it was before a refused step up',
    file: 'src/lease-process/commands.ts',
    from: 'held.hold = { ...held.hold, dblock };',
    to: 'held.hold = { ...held.hold };',
  },
  {
    what: 'a mode that no program writes is taken for no hold',
    file: 'src/lease/paxos-area.ts',
    from: 'if (mode.flags === 0) return none;',
    to: 'if ((mode.flags & MODE_FLAGS.SHARED) === 0) return none;',
    world: { straysMs: 2000, strayKind: 'mode' },
    firstSeed: 31,
  },
  {
    what: 'a refused write is taken for one that will never land',
    file: 'src/programs/ordered-disk.ts',
    from: "reply.outcome === 'failed' && reply.unsent !== true",
    to: "reply.outcome === 'failed' && reply.errno < 0",
    firstSeed: 11,
  },
  {
    what: 'the memory of a read is given back before it is looked at',
    file: 'src/programs/lease-devices.ts',
    from: "answer({ outcome: 'done', bytes: reply.bytes, nowMs }, reply.release);",
    to: "reply.release(); answer({ outcome: 'done', bytes: reply.bytes, nowMs }, null);",
  },
  {
    what: 'a lease process is ended while what was refused may still land',
    file: 'src/sanlock/lockspace-step.ts',
    from: 'Math.min(untilMs + LEAVE_DEADLINE_MS, phase.mostMs)',
    to: 'phase.byMs',
    world: REFUSED_WRITES,
  },
  {
    what: 'wdmd closes the device after an expiry, and so feeds it once more',
    file: 'src/wdmd/device.ts',
    from: 'return first;',
    to: 'return null;',
    by: 'late-wdmd',
  },
  {
    what: 'a successor of wdmd pings although an expiry has passed that a killed wdmd knew',
    file: 'src/wdmd/duty-lines.ts',
    from: "if (expire !== '0' && hasPassed",
    to: "if (expire === '' && hasPassed",
    also: [
      {
        file: 'src/wdmd/duty-lines.ts',
        from: "filter(({ expire }) => expire !== '0')",
        to: "filter(({ expire }) => expire !== '0' && !hasPassed(BigInt(expire), now.nowMs))",
      },
    ],
    by: 'wdmd-restarts',
  },
  {
    what: 'a successor of wdmd starts though it may not know an expiry',
    file: 'src/wdmd/duty-lines.ts',
    from: "if (expire === '0' && refcount && !waits)",
    to: 'if (refcount && !waits && name === null)',
    by: 'wdmd-restarts',
    firstSeed: 232,
  },
  {
    what: 'wdmd keeps a journal that lacks a duty',
    file: 'src/wdmd/duty-journal.ts',
    from: "journal.state = 'unsound';",
    to: 'return;',
    by: 'wdmd-restarts',
    firstSeed: 315,
  },
  {
    what: 'wdmd records no renewal, and no first expiry',
    file: 'src/wdmd/duty-journal.ts',
    from: 'recorded.waits === client.waits &&',
    to: 'recorded.waits === client.waits ||',
    by: 'wdmd-restarts',
  },
  {
    what: 'the duty of a living connection to wdmd is taken over',
    file: 'src/wdmd/take-over.ts',
    from: '!other.isDead || ',
    to: '',
    by: 'wdmd-restarts',
  },
  {
    what: 'a duty in wdmd is taken over by an older renewal',
    file: 'src/wdmd/take-over.ts',
    from: 'client.renewalS < other.renewalS || ',
    to: '',
    by: 'wdmd-restarts',
  },
  {
    what: 'a duty in wdmd that has expired is taken over',
    file: 'src/wdmd/take-over.ts',
    from: ' || hasPassed(other.expireS, state.nowMs)) continue;',
    to: ') continue;',
    by: 'wdmd-restarts',
  },
  {
    what: 'what an earlier membership left in wdmd is taken over with the own duty',
    file: 'src/wdmd/take-over.ts',
    from: ' && other.renewalS >= (client.takesOverFromS ?? 0n)',
    to: '',
    by: 'wdmd-restarts',
  },
  {
    what: 'a holder that could not be written down is granted',
    file: 'src/sanlock/holder-journal.ts',
    from: 'if (appendText(front, wantsText(want))) return true;',
    to: 'if (appendText(front, wantsText(want)) || true) return true;',
    world: { ...JOURNALS, journals: 'full' },
    also: [
      {
        file: 'src/sanlock/holder-journal.ts',
        from: 'if (client.dead) return true;',
        to: 'if (recordHolds(front, client, resource.lockspace) || true) return true;',
      },
    ],
  },
  {
    what: 'damage in the file of holders closes nothing',
    file: 'src/sanlock/survivors-restore.ts',
    from: 'front.journalState.holdersUnknown = true;',
    to: 'front.journalState.holdersUnknown = false;',
    world: { ...JOURNALS, journals: 'damaged' },
    firstSeed: 8,
  },
  {
    what: 'a host block may say any number',
    file: 'src/format/dblock.ts',
    from: 'const damage = damageOf(dblock, block);',
    to: 'const damage = damageOf(dblock, { ...block, mbal: 0n, bal: 0n, lver: 0n });',
    world: STRAYS,
    also: ANY_NEXT_NUMBER,
  },
  {
    what: 'a leader may say any number',
    file: 'src/format/leader.ts',
    from: 'const damage = damageOf(paxosLeader, leader);',
    to: 'const damage = damageOf(paxosLeader, { ...leader, lver: 0n });',
    world: STRAYS,
    also: ANY_NEXT_NUMBER,
  },
  {
    what: 'whatever owner a leader names is called by a bit, and the checksum is taken before',
    file: 'src/lease/delta-renew.ts',
    from: 'setHostBit(sector, 0, hostId);\n  encodeDeltaLeader(leader, sector);',
    to: '{ encodeDeltaLeader(leader, sector); setHostBit(sector, 0, hostId); }',
    world: { ...STRAYS, requests: 0.06, daemons: 0 },
    also: ANY_OWNER,
  },
  {
    what: 'hosts may step by any number',
    file: 'src/format/leader.ts',
    from: 'const damage = damageOf(paxosLeader, leader);',
    to: 'const damage = damageOf(paxosLeader, { ...leader, maxHosts: 1n });',
    world: STRAYS,
    also: [
      ...ANY_NEXT_NUMBER,
      { file: 'src/format/leader.ts', from: 'if (maxHosts !== most)', to: 'if (maxHosts < most)' },
    ],
  },
  {
    what: 'a lockspace with persistent leases is joined anew after a restart',
    file: 'src/sanlock/resuming-process.ts',
    from: "toLease(front, lease, { kind: 'join', ...request, resume });",
    to: "toLease(front, lease, { kind: 'join', ...request });",
    by: 'restarts',
  },
  {
    what: 'only living processes count as survivors of an earlier daemon',
    file: 'src/sanlock/survivors.ts',
    from: 'return mayBeHandedOver || holders.size > 0 || hasPersistent(survivor);',
    to: 'return holders.size > 0;',
    by: 'restarts',
    firstSeed: 6,
  },
  {
    what: 'a persistent lease is granted without being written down',
    file: 'src/sanlock/holder-journal.ts',
    from: 'if (appendText(front, text)) return true;',
    to: 'return true;',
    by: 'restarts',
  },
  {
    what: "a daemon goes on with another one's record",
    firstSeed: 99,
    file: 'src/lease/delta-resume.ts',
    from: 'leader.ownerGeneration === left.generation &&',
    to: '',
    by: 'resumption',
    also: [
      {
        file: 'src/sanlock/resuming.ts',
        from: 'const isSame = message.generation === BigInt(survivor.generation);',
        to: 'const isSame = message.generation > 0n;',
      },
    ],
  },
  {
    what: 'a membership is resumed past 8·t',
    file: 'src/lease/delta-resume.ts',
    from: 'if (nowMs - writtenMs >= renewalFailMs)',
    to: 'if (nowMs < writtenMs)',
    world: CRASHES,
    also: [
      {
        file: 'src/lease-process/membership.ts',
        from: 'if (isResumed && now.bootMs - claimedBootMs >= times.renewalFailMs) {',
        to: 'if (isResumed && now.bootMs < claimedBootMs) {',
      },
      {
        file: 'src/lease-process/membership-state.ts',
        from: 'return own !== null && bootMs - own.claimedBootMs >= times.renewalFailMs;',
        to: 'return own !== null && bootMs < times.renewalFailMs - own.claimedBootMs;',
      },
      {
        file: 'src/sanlock/survivors-stop.ts',
        from: 'return front.claimAgeMs(survivor) >= leaseTimes(survivor.space.ioTimeoutS).renewalFailMs;',
        to: 'return front.claimAgeMs(survivor) < 0 && leaseTimes !== null;',
      },
    ],
    firstSeed: 2,
  },
  {
    what: 'a membership is resumed while its lease process may still write',
    firstSeed: 11,
    file: 'src/sanlock/resuming.ts',
    from: 'hasPredecessor: processOf(phase) === null && hasPredecessor(front, survivor),',
    to: 'hasPredecessor: processOf(phase) !== null && !hasPredecessor(front, survivor),',
    also: [
      {
        file: 'src/sanlock/resuming-process.ts',
        from: 'assert(!survivor.holders.has(LEASE_HOLDER),',
        to: 'assert(survivor.holders.size >= 0 && LEASE_HOLDER !== null,',
      },
    ],
    by: 'resumption',
  },
  {
    what: 'a resumed membership grants before its first renewal',
    file: 'src/sanlock/survivor-step.ts',
    from: "const effects = [{ kind: 'takeJoin', message } as const, resumed];\n      return { phase: { kind, lease, notBeforeMs }, effects };",
    to: "const effects = [{ kind: 'takeJoin', message } as const, resumed, { kind: 'handOver' } as const];\n      return { phase: { kind: 'handedOver' }, effects };",
    world: CRASHES,
    firstSeed: 3,
  },
  {
    what: 'what a step up left beside a shared hold stays',
    firstSeed: 72,
    file: 'src/lease/recover.ts',
    from: 'if (leader === null && !isOpenProposal(view)) return sharedHold(view, known, own.dblock);',
    to: 'if (rollBack !== null) return sharedHold(view, known, own.dblock);',
    by: 'resumption',
  },
  {
    what: 'a lease goes over to another process',
    file: 'src/sanlock/inherited-clients.ts',
    from: 'if (a === null || b === null || a.pid !== b.pid) return false;\n  return a.identity !== null && a.identity === b.identity;',
    to: 'return a !== null && b !== null && a.identity !== null;',
    by: 'resumption',
  },
  {
    what: 'a lease is kept as held that the disk does not show',
    firstSeed: 400,
    file: 'src/lease/recover.ts',
    from: 'if (namesUs(member, area.leader) && !isReleased && !isOver(view)) return unclear(view);\n  yield* takeBack(view);\n  return ok(null);',
    to: 'if (own === null || isReleased === null) return ok(null);\n  return ok(holdOf(view, { shared: false, leader: area.leader, dblock: own.dblock }));',
    by: 'resumption',
    also: [
      {
        file: 'src/sanlock/holder-journal.ts',
        from: 'if (!resource.isRecorded || resource.lvbDirty) return;',
        to: 'if (resource.isRecorded !== null) return;',
      },
    ],
  },
  {
    what: 'a lease process without an end record has left no refused writes',
    file: 'src/sanlock/resuming-process.ts',
    from: 'const untilMs = end === null ? latestMs :',
    to: 'const untilMs = end === null ? 0 * latestMs :',
    by: 'resumption',
    firstSeed: 390,
  },
  {
    what: 'the note of a hold stays when it is released',
    file: 'src/lease/paxos-release.ts',
    from: 'const block = { dblock: released(hold.dblock), sharedGeneration: null };',
    to: 'const block = { ...hold, dblock: released(hold.dblock), sharedGeneration: null };',
    also: [
      {
        file: 'src/lease/host-block.ts',
        from: 'assert(note === null || mayHold(member, block),',
        to: 'assert(mayHold !== null,',
      },
    ],
  },
  {
    what: 'a ballot of a host that shares the lease drops the note of its hold',
    file: 'src/lease/convert.ts',
    from: 'noteWish: null, keptNote: note }',
    to: 'noteWish: null, keptNote: note && null }',
  },
  {
    what: 'a recovered lease is converted without its note',
    file: 'src/lease/recover.ts',
    from: 'const { ownNote: note } = area;',
    to: 'const note = area.ownNote && null;',
    world: { daemons: 1, crashesMs: 30_000, journals: 'sound', straysMs: 0 },
  },
  {
    what: 'the note says who had an earlier hold',
    file: 'src/lease/note.ts',
    from: 'sinceMonotonicS: inpTimestampS,',
    to: 'sinceMonotonicS: inpTimestampS, pid: 1,',
  },
];
