import { existsSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { type ByteString, nameToText, textToName } from '../../base/bytes.ts';
import { ERRNO } from '../../base/errno.ts';
import { given } from '../../base/given.ts';
import { fail, ok, type Result } from '../../base/result.ts';
import type { Naming } from '../../guard/lease-names.ts';
import { MonotonicClock } from '../../platform/clock.ts';
import { DirectDisk, DiskFailure } from '../../platform/disk-direct.ts';
import { reasonOf } from '../../platform/system-error.ts';
import { readGuardConfFiles } from '../guard/conf-files.ts';
import { DiskNames } from '../guard/disk-names.ts';
import { GUEST_LOCKSPACE } from '../guard/paths.ts';
import { endBesideHungCalls } from './end-now.ts';
import { PLACES } from './guard/places.ts';
import { lenderIn, readGuests, usesOf } from './who-guests.ts';
import { besideLibvirtSpace, resourceTarget, volumeTarget, type WhoTarget } from './who-target.ts';
import { type WhoGuests, whoJson, whoText } from './who-text.ts';
import { lookUp, readValueBlock, type WhoAnswer, type WhoWorld } from './who-watch.ts';

export const WHO_USAGE = `holdfast who <vg>/<lv>
holdfast who <lockspace>:<resource>:<path>:<offset>
holdfast who --path <path> --offset <bytes>
    [--lockspace <path>[:<offset>]]  where the lockspace is (offset 0 of the same device; of a
                                     lease file of libvirt: the file beside it)
    [--now]                          one reading, without waiting for a renewal
    [--json]                         for programs

Reads only the disk: neither sanlock nor lvmlockd needs to run here, and nothing is written. For
a lease of libvirt's guests it also reads which guests libvirt of this host knows.
`;

/** Which host holds a lease, whether it is alive, and until when it is protected. */
export async function who(args: readonly string[]): Promise<number> {
  const parsed = parseWho(args);
  if (!parsed.ok) {
    process.stderr.write(`${parsed.error}\n\n${WHO_USAGE}`);
    return 1;
  }
  const options = parsed.value;
  const target = await targetOf(options);
  if (!target.ok) return complain(target.error);
  const disks = new Map<ByteString, DirectDisk>();
  try {
    const world = worldOf(disks, process.stderr.isTTY === true);
    const answer = await lookUp(world, target.value, { watch: !options.now });
    if (!answer.ok) return complain(answer.error);
    const guests = await guestsOf(world, target.value, answer.value);
    const told = [target.value, answer.value, guests] as const;
    const json = () => `${JSON.stringify(whoJson(...told), null, 2)}\n`;
    process.stdout.write(options.json ? json() : whoText(...told));
    if (guests?.hasLooked === true) await endBesideHungCalls(0);
    return 0;
  } catch (thrown) {
    return complain(`looking for the lease of ${target.value.label}, ${reasonWithRemedy(thrown)}`);
  } finally {
    for (const disk of disks.values()) disk.close();
  }
}

function complain(sentence: string): number {
  process.stderr.write(`holdfast who: ${sentence}\n`);
  return 1;
}

/** A lock LV that is not there is the common case, and has a remedy. */
function reasonWithRemedy(thrown: unknown): string {
  const reason = reasonOf(thrown);
  const isAbsent = thrown instanceof DiskFailure && thrown.errno === ERRNO.ENOENT;
  return isAbsent && thrown.path.endsWith('-lvmlock')
    ? `${reason}: start the VG here first (vgchange --lock-start)`
    : reason;
}

interface WhoOptions {
  readonly target: string | null;
  readonly path: string | null;
  readonly offset: number;
  readonly lockspace: string | null;
  readonly now: boolean;
  readonly json: boolean;
}

function parseWho(args: readonly string[]): Result<WhoOptions, string> {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        path: { type: 'string' },
        offset: { type: 'string' },
        lockspace: { type: 'string' },
        now: { type: 'boolean' },
        json: { type: 'boolean' },
      },
    });
    const target = given(positionals[0]) ?? null;
    const path = given(values.path) ?? null;
    if (positionals.length > 1) return fail(`one lease at a time: "${positionals[1]}" is too much`);
    if ((target === null) === (path === null)) return fail('which lease? give a name, or --path');
    const offset = values.offset === '' ? Number.NaN : Number(values.offset ?? 0);
    if (!Number.isSafeInteger(offset) || offset < 0) {
      return fail(`--offset "${values.offset}" is not a number of bytes`);
    }
    const lockspace = values.lockspace ?? null;
    return ok({
      target,
      path,
      offset,
      lockspace,
      now: values.now ?? false,
      json: values.json ?? false,
    });
  } catch (thrown) {
    return fail(reasonOf(thrown));
  }
}

/** null: it is a lease of no guest. */
async function guestsOf(
  world: WhoWorld,
  target: WhoTarget,
  { lease }: WhoAnswer,
): Promise<(WhoGuests & { readonly hasLooked: boolean }) | null> {
  if (lease.lockspaceName !== GUEST_LOCKSPACE) return null;
  const value = readValueBlock(world, target, lease);
  const lender = value === null ? null : lenderIn(value, lease.holders);
  if (lender !== null) return { uses: [lender], skipped: 0, hasLooked: false };
  const { guests, skipped } = readGuests(PLACES);
  const naming = { ...namingOf(), isBesidePlugin: false };
  const names = new DiskNames(naming);
  return { ...(await usesOf(lease.resourceName, guests, { naming, names })), skipped };
}

/** Where the guard is not configured, the defaults: the plugin's names are the same anyway. */
function namingOf(): Naming {
  const config = readGuardConfFiles();
  if (config.ok) return config.value.naming;
  return { network: 'uri', clusters: new Map(), readonlyIsShared: false, isBesidePlugin: false };
}

async function targetOf(options: WhoOptions): Promise<Result<WhoTarget, string>> {
  const found = await namedTarget(options);
  if (!found.ok) return found;
  const isThere = (path: ByteString) => existsSync(nameToText(path));
  if (options.lockspace === null) return ok(besideLibvirtSpace(found.value, isThere));
  const place = /^(.*?)(?::(\d+))?$/s.exec(options.lockspace);
  const spacePath = textToName(place?.[1] ?? options.lockspace);
  return ok({ ...found.value, spacePath, spaceOffset: Number(place?.[2] ?? 0) });
}

async function namedTarget(options: WhoOptions): Promise<Result<WhoTarget, string>> {
  if (options.path !== null) {
    const path = textToName(options.path);
    const label = `${options.path}:${options.offset}`;
    const { offset } = options;
    return ok({ label, path, offset, spacePath: path, spaceOffset: 0, expected: null });
  }
  const target = options.target ?? '';
  if (/^[^:/]+\/[^:/]+$/.test(target)) return volumeTarget(target);
  return resourceTarget(target);
}

function worldOf(disks: Map<ByteString, DirectDisk>, showsProgress: boolean): WhoWorld {
  const clock = new MonotonicClock();
  const open = (path: ByteString): DirectDisk => {
    const disk = disks.get(path) ?? new DirectDisk(nameToText(path), 'read');
    disks.set(path, disk);
    return disk;
  };
  return {
    read: (path, offset, length) => open(path).read(offset, length),
    nowMs: () => clock.nowMs(),
    sleep: (forMs) =>
      new Promise((resolve) => {
        clock.after(forMs, () => resolve());
      }),
    progress: (text) => {
      if (showsProgress) process.stderr.write(text);
    },
  };
}
