import '../../platform/more-threads.ts';
import { nameToText, textToName } from '../../base/bytes.ts';
import { plain, plainJson } from '../../base/plain-text.ts';
import { fail, ok, type Result } from '../../base/result.ts';
import { hasLvb, LVB_SECTOR } from '../../format/geometry.ts';
import { GL_NAME } from '../../lvmlockd/managers/sanlock/layout.ts';
import { mistakeText } from '../frame/help.ts';
import { type CommandPage, JSON_OPTION, WATCH_OPTION } from '../frame/page.ts';
import { readWords, type Words } from '../frame/words.ts';
import { DiskNames } from '../guard/disk-names.ts';
import { GUEST_LOCKSPACE } from '../guard/paths.ts';
import { endBesideHungCalls } from './end-now.ts';
import { PLACES } from './guard/places.ts';
import { paintFor } from './status/paint.ts';
import { find, findAll, hungText } from './who/find.ts';
import { follow } from './who/follow.ts';
import { lenderIn, readGuests, usesOf } from './who/guests.ts';
import { livenessOf } from './who/holder-watch.ts';
import { WHO_SCHEMA, whoJson } from './who/json.ts';
import { listText } from './who/list-text.ts';
import { withLockspace } from './who/lockspace-places.ts';
import { lookUp, type WhoAnswer } from './who/look.ts';
import { namingHere, realSources, type Sources } from './who/sources.ts';
import { bytesOf, type Found, leaseTarget, type Unlisted, type WhoTarget } from './who/target.ts';
import { type WhoGuests, whoText } from './who/text.ts';
import { RealWorld, type WhoWorld } from './who/world.ts';

export const WHO_PAGE = {
  name: 'holdfast who',
  about: 'which host and process hold a lease, whether that host lives, until when nobody else may',
  forms: [
    'VG/LV | VG | DEVICE | GUEST',
    'LOCKSPACE:RESOURCE[:PATH[:OFFSET]]',
    '--path PATH [--offset BYTES]',
    '--all',
  ],
  operands: 'lv',
  counts: { least: 0, most: 1 },
  options: [
    { name: 'all', about: 'all shared VGs, lockspaces of sanlock, and guests of this host' },
    { name: 'path', value: 'PATH', operand: 'device', about: 'the file or device of the lease' },
    { name: 'offset', value: 'BYTES', about: 'where it begins there, with K, M or G [0]' },
    {
      ...{ name: 'lockspace', value: 'PATH[:OFFSET]', operand: 'device' },
      about: 'where its lockspace is, if neither on the same device nor beside the lease',
    },
    { name: 'now', about: 'one reading, without waiting for a renewal' },
    WATCH_OPTION,
    JSON_OPTION,
  ],
  text: [
    'Reads only the disk: neither sanlock nor lvmlockd needs to run here, no VG needs to be ' +
      'started, and nothing is written. A host is called alive only if it is seen to renew, which ' +
      'takes up to 31 s (3 io timeouts).',
    'DEVICE is a path: an LV under any name, a device that lies on LVs, a PV, a file or device ' +
      'with leases, a disk of a guest. Which process has a lease, and since when, hosts of ' +
      'holdfast write beside it; of a host with the original the disk says only since when.',
  ],
  examples: [
    { line: 'holdfast who vg1/data', about: 'on which host an LV is active' },
    { line: 'holdfast who vg1 --watch', about: 'all locks of a VG, and what changes' },
    { line: 'holdfast who /dev/dm-3', about: 'what lies behind a device of this host' },
    { line: 'holdfast who --path /srv/leases/x --offset 2M', about: 'a lease by its place' },
    { line: 'holdfast who --all --json', about: 'everything, for programs' },
  ],
  exits: {
    0: 'every lease was read, and every holder lives as far as it was watched',
    1: 'something needs attention: a holder is silent, gone or not known, a lease is damaged or unread',
    2: 'wrong words, or no lease was found or read',
  },
  schema: WHO_SCHEMA,
  seeAlso: ['holdfast-status(8)', 'holdfast-repair(8)'],
} as const satisfies CommandPage;

type WhoWords = Words<(typeof WHO_PAGE)['options'][number]['name']>;

/** Which host holds a lease, whether it is alive, and until when it is protected. */
export async function who(args: readonly string[]): Promise<number> {
  const read = readWords(WHO_PAGE, args);
  const words = read.ok ? checked(read.value) : read;
  if (!words.ok) {
    process.stderr.write(mistakeText(WHO_PAGE, words.error));
    return 2;
  }
  const isWatching = words.value.has('watch');
  const world = new RealWorld(process.stderr.isTTY === true && !isWatching);
  const sources = realSources(world);
  const found = await targetsOf(words.value, sources);
  const status = found.ok ? await tell(found.value, words.value, world) : complain(found.error);
  // A look at what is behind a guest's disk may hang on its file system.
  await endBesideHungCalls(status);
  return status;
}

function complain(sentence: string): number {
  process.stderr.write(`holdfast who: ${plain(sentence)}\n`);
  return 2;
}

function checked(words: WhoWords): Result<WhoWords, string> {
  const asked = [words.operands.length > 0, words.value('path') !== null, words.has('all')];
  const count = asked.filter(Boolean).length;
  if (count === 0) return fail('which lease? give a name, --path, or --all');
  if (count > 1) return fail('give one of a name, --path and --all');
  const offset = words.value('offset');
  if (offset !== null && words.value('path') === null) return fail('--offset is of --path');
  if (offset !== null && bytesOf(offset) === null) {
    return fail(`--offset "${plain(offset)}" is not a number of bytes: 1048576, 1M`);
  }
  if (words.has('watch') && words.has('now')) return fail('--watch and --now exclude each other');
  return ok(words);
}

/** What is to be looked at, and what could not be listed. */
interface Asked extends Found {
  readonly unlisted: readonly Unlisted[];
}

async function targetsOf(words: WhoWords, sources: Sources): Promise<Result<Asked, string>> {
  if (words.has('all')) return ok({ ...(await findAll(sources)), isList: true });
  const path = words.value('path');
  if (path === null) {
    const found = await find(words.operands[0] ?? '', sources);
    if (!found.ok) return found;
    const targets = found.value.targets.map((target) => withGivenSpace(target, words));
    return ok({ unlisted: [], ...found.value, targets });
  }
  const hung = await hungText(textToName(path), sources);
  if (hung !== null) return fail(hung);
  const offset = bytesOf(words.value('offset') ?? '0') ?? 0;
  const label = `${path}:${offset}`;
  const target = leaseTarget({ label, path: textToName(path), offset, expected: null });
  const isGiven = words.value('lockspace') !== null;
  const placed = isGiven ? withGivenSpace(target, words) : await withLockspace(target, sources);
  return ok({ targets: [placed], isList: false, unlisted: [] });
}

function withGivenSpace(target: WhoTarget, words: WhoWords): WhoTarget {
  const given = words.value('lockspace');
  if (given === null) return target;
  const place = /^(.*?)(?::([^:/]+))?$/s.exec(given);
  const spaceOffset = place?.[2] === undefined ? 0 : bytesOf(place[2]);
  if (spaceOffset === null) return { ...target, spacePath: textToName(given), spaceOffset: 0 };
  return { ...target, spacePath: textToName(place?.[1] ?? given), spaceOffset };
}

/** Looks, and prints what it sees. @returns the exit status */
async function tell(asked: Asked, words: WhoWords, world: WhoWorld): Promise<number> {
  const { targets, isList, unlisted } = asked;
  for (const { of, why } of unlisted) complain(`${of}: ${why}`);
  if (words.has('watch')) {
    await follow(world, targets, { isJson: words.has('json'), isList, stdout: process.stdout });
    return 0;
  }
  const all = await lookUp(world, targets, { watch: !words.has('now') });
  const answers = all.filter(isOfInterest);
  const guests = new Map<WhoTarget, WhoGuests>();
  if (!isList) {
    for (const answer of answers) {
      const found = await guestsOf(world, answer);
      if (found !== null) guests.set(answer.target, found);
    }
  }
  if (words.has('json')) {
    process.stdout.write(`${plainJson(whoJson(answers, guests))}\n`);
  } else if (isList) {
    process.stdout.write(listText(answers, paintFor(process.stdout, process.env)));
    if (answers.length === 0) process.stdout.write('no leases\n');
  } else {
    for (const answer of answers) tellOne(answer, guests.get(answer.target) ?? null, world);
  }
  return statusOf(answers, unlisted);
}

function tellOne(answer: WhoAnswer, guests: WhoGuests | null, world: WhoWorld): void {
  const { lease, target } = answer;
  if (lease.ok) process.stdout.write(whoText(answer, { guests, wallMs: world.wallMs() }));
  else complain(`looking for the lease of ${target.label}: ${lease.error}`);
}

/** A VG has a place for the global lock; in most it is disabled. */
function isOfInterest({ target, lease }: WhoAnswer): boolean {
  return target.kind !== 'globalLock' || (lease.ok && lease.value.resourceName === GL_NAME);
}

const IS_WELL: ReadonlySet<string> = new Set(['alive', 'not watched', 'left', 'replaced']);

function statusOf(answers: readonly WhoAnswer[], unlisted: readonly Unlisted[]): number {
  const unread = answers.filter(({ lease }) => !lease.ok).length;
  if (unread > 0 && unread === answers.length) return 2;
  const isWell = answers.every(({ lease, holders }) => {
    if (!lease.ok || lease.value.damaged.length > 0 || lease.value.isLeaderBehind) return false;
    return holders.every((watched) => IS_WELL.has(livenessOf(watched)));
  });
  return isWell && unread === 0 && unlisted.length === 0 ? 0 : 1;
}

/** null: it is a lease of no guest */
async function guestsOf(world: WhoWorld, { target, lease }: WhoAnswer): Promise<WhoGuests | null> {
  if (!lease.ok || nameToText(lease.value.lockspaceName) !== GUEST_LOCKSPACE) return null;
  const { geometry, holders, resourceName } = lease.value;
  if (hasLvb(geometry)) {
    const length = geometry.sectorSize;
    const offset = target.offset + LVB_SECTOR * length;
    const value = await world.look(target.path, (read) => read({ offset, length }));
    const lender = typeof value === 'string' ? null : lenderIn(value, holders);
    if (lender !== null) return { uses: [lender], skipped: 0 };
  }
  const { guests, skipped } = readGuests(PLACES);
  const naming = namingHere();
  const { uses } = await usesOf(resourceName, guests, { naming, names: new DiskNames(naming) });
  return { uses, skipped };
}
