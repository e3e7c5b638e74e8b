import type { ByteString } from '../../base/bytes.ts';
import { ERRNO } from '../../base/errno.ts';
import { decode } from '../../codec/struct.ts';
import {
  REL_FLAGS,
  RES_FLAGS,
  type SanlkResource,
  sanlkResource,
} from '../../wire/sanlock/socket.ts';
import { printResource } from '../../wire/sanlock/strings.ts';
import type { Front } from '../front.ts';
import { recordLvb } from '../holder-journal.ts';
import { claimToken, settleClaim, unnamedTokens } from '../inherited-clients.ts';
import { releaseDead, releaseResource, releaseToken } from '../release.ts';
import type { Request } from '../request.ts';
import type { Client, Reply, Resource, Token } from '../state.ts';

const NOT_HELD = -1;
const MAX_STATE_BYTES = 4399;

/** Its own, or one that its process has from an earlier daemon. */
export function tokenOf(
  front: Front,
  client: Client,
  { lockspaceName, name }: Pick<SanlkResource, 'lockspaceName' | 'name'>,
): Token | null {
  for (const token of client.tokens) {
    if (!isNamed(token.resource, lockspaceName, name)) continue;
    settleClaim(token);
    return token;
  }
  const resource = front.findResource(lockspaceName, name);
  const claimed = resource === null ? null : claimToken(front, client, resource);
  if (claimed !== null) settleClaim(claimed);
  return claimed;
}

function isNamed(resource: Resource, lockspaceName: ByteString, name: ByteString): boolean {
  return resource.name === name && resource.lockspace.name === lockspaceName;
}

/** Ends a command of this client: if the client died meanwhile its leases are released. */
export function finishCommand(front: Front, client: Client, answer: () => void): void {
  client.active = 0;
  if (client.dead) releaseDead(front, client);
  answer();
}

export function releaseCommand(front: Front, request: Request, client: Client, reply: Reply): void {
  const { cmdFlags } = request.header;
  const named = Array.from({ length: request.header.data }, (_, n) =>
    decode(sanlkResource, request.body, n * sanlkResource.size),
  );
  if (cmdFlags & REL_FLAGS.ORPHAN) {
    finishCommand(front, client, () => reply(releaseOrphans(front, named[0])));
    return;
  }
  if (cmdFlags & REL_FLAGS.RENAME) {
    const [from, to] = named;
    const token = from && tokenOf(front, client, from);
    if (!token || to === undefined) {
      finishCommand(front, client, () => reply(NOT_HELD));
      return;
    }
    releaseAll(front, client, { tokens: [token], rename: to.name, missing: 0, reply });
    return;
  }
  if (cmdFlags & REL_FLAGS.ALL) {
    const tokens = [...client.tokens, ...unnamedTokens(front, client)];
    releaseAll(front, client, { tokens, rename: null, missing: 0, reply });
    return;
  }
  const left = [...client.tokens];
  const tokens: Token[] = [];
  for (const { lockspaceName, name } of named) {
    // Each claim once: a shared lease may be held twice, and then is released twice.
    const at = left.findIndex(({ resource }) => isNamed(resource, lockspaceName, name));
    if (at >= 0) tokens.push(...left.splice(at, 1));
    else {
      const resource = front.findResource(lockspaceName, name);
      const claimed = resource === null ? null : claimToken(front, client, resource);
      if (claimed !== null && !tokens.includes(claimed)) tokens.push(claimed);
    }
  }
  const missing = tokens.length < named.length ? NOT_HELD : 0;
  releaseAll(front, client, { tokens, rename: null, missing, reply });
}

/**
 * All at once. The reply waits for the disk; an error of the disk is answered rather than that a
 * lease was not held.
 */
function releaseAll(
  front: Front,
  client: Client,
  of: {
    readonly tokens: readonly Token[];
    readonly rename: ByteString | null;
    readonly missing: number;
    readonly reply: Reply;
  },
): void {
  let left = of.tokens.length;
  let result = of.missing;
  const finish = () => finishCommand(front, client, () => of.reply(result));
  if (left === 0) {
    finish();
    return;
  }
  const done = (one: number): void => {
    if (one !== 0) result = one;
    if (--left === 0) finish();
  };
  for (const token of of.tokens) releaseToken(front, token, { rename: of.rename, done });
}

/** Queued for release; the number of orphans is a positive result (spec 20 §16). */
function releaseOrphans(
  front: Front,
  asked: { readonly lockspaceName: ByteString; readonly name: ByteString } | undefined,
): number {
  if (asked === undefined) return 0;
  const orphans = front.resources.filter(
    (resource) =>
      resource.state === 'orphan' &&
      resource.lockspace.name === asked.lockspaceName &&
      (asked.name === '' || resource.name === asked.name),
  );
  for (const orphan of orphans) releaseResource(front, orphan, { rename: null, done: () => {} });
  return orphans.length;
}

export function inquireCommand(front: Front, client: Client, reply: Reply): void {
  finishCommand(front, client, () => {
    if (client.dead) {
      reply(-ERRNO.ESTALE);
      return;
    }
    const tokens = [...client.tokens, ...unnamedTokens(front, client)];
    const held = tokens.filter(({ resource }) => resource.state !== 'notHeld');
    const texts = held.map(({ resource }) => resourceText(resource));
    if (texts.length === 0) {
      reply(0);
      return;
    }
    const text = texts.join(' ');
    const bad = texts.some((one) => /(?<!\\) /.test(one)) ? -ERRNO.ELIBSCN : stateProblem(text);
    if (bad !== 0) reply(bad);
    else reply(0, texts.length, bytesWithNul(text));
  });
}

function stateProblem(text: ByteString): number {
  if (text.length > MAX_STATE_BYTES * 8) return -ERRNO.ELIBBAD;
  for (const c of text) if (c < ' ' || c === '\x7f') return -ERRNO.ELIBACC;
  return 0;
}

function resourceText(resource: Resource): ByteString {
  const { lockspace, name, path, offset, shared, hold } = resource;
  return printResource({
    lockspaceName: lockspace.name,
    name,
    disks: [{ path, offset: BigInt(offset) }],
    lver: shared ? 0n : (hold?.lver ?? 0n),
    flags: shared ? RES_FLAGS.SHARED : RES_FLAGS.LVER,
  });
}

function bytesWithNul(text: ByteString): Uint8Array {
  return Uint8Array.from([...text, '\0'], (c) => c.charCodeAt(0));
}

function heldWithLvb(front: Front, body: Uint8Array): Resource | number {
  const asked = decode(sanlkResource, body);
  const resource = front.findResource(asked.lockspaceName, asked.name);
  if (resource === null || resource.state !== 'held') return -ERRNO.ENOENT;
  return resource.lvbWanted ? resource : -ERRNO.EINVAL;
}

/**
 * Changes memory, and the journal: the block is written at release or on the way to shared, and a
 * client that was told that its value is set sets it no more.
 */
export function setLvbCommand(front: Front, request: Request, reply: Reply): void {
  const resource = heldWithLvb(front, request.body);
  if (typeof resource === 'number') {
    reply(resource);
    return;
  }
  const sectorSize = resource.hold?.sectorSize ?? 0;
  const value = request.body.subarray(sanlkResource.size);
  if (value.length > sectorSize) {
    reply(-ERRNO.E2BIG);
    return;
  }
  const lvb = new Uint8Array(sectorSize);
  const { lvb: lvbBefore, lvbDirty: wasDirty } = resource;
  if (lvbBefore !== null) lvb.set(lvbBefore.subarray(0, sectorSize));
  lvb.set(value);
  resource.lvb = lvb;
  resource.lvbDirty = true;
  if (recordLvb(front, resource)) {
    reply(0);
    return;
  }
  resource.lvb = lvbBefore;
  resource.lvbDirty = wasDirty;
  reply(-ERRNO.EAGAIN);
}

export function getLvbCommand(front: Front, request: Request, reply: Reply): void {
  const resource = heldWithLvb(front, request.body);
  if (typeof resource === 'number') {
    reply(resource);
    return;
  }
  const sectorSize = resource.hold?.sectorSize ?? 0;
  // The original copies any length that is asked for, also from beyond its buffer; we stop there.
  const wanted = request.header.data2 > 0 ? Math.min(request.header.data2, sectorSize) : sectorSize;
  const value = resource.lvb ?? new Uint8Array(sectorSize);
  reply(0, 0, value.slice(0, wanted));
}
