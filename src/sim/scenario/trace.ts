import { unreachable } from '../../base/assert.ts';
import { decode } from '../../codec/struct.ts';
import { DBLOCK_FLAGS, type Dblock, dblock } from '../../format/dblock.ts';
import { GEOMETRY_512_1M, LVB_SECTOR, REQUEST_SECTOR } from '../../format/geometry.ts';
import { deltaLeader, LEADER_FLAGS, type PaxosLeader, paxosLeader } from '../../format/leader.ts';
import { scanBlocks } from '../../lease/paxos-area.ts';
import type { Effect, Reply } from '../../lease/steps.ts';
import { HARNESS_HOSTS } from '../procedure-harness.ts';

const SECTOR = GEOMETRY_512_1M.sectorSize;

/** Words for the effects of one procedure, in the terms of spec 10 §8. */
export class Trace {
  #lastBlock: 'none' | 'phase1' | 'phase2' | 'other' = 'none';

  /** 'phase1 read', 'leader write' …: what a scenario may stop at or make fail. */
  label(effect: Readonly<Effect>): string {
    if (effect.op === 'sleep') return effect.op;
    if (effect.op === 'settle') return `settle ${settledSector(effect.offset / SECTOR)}`;
    if (effect.disk === 'lockspace') return `host lease ${effect.op}`;
    const sector = effect.offset / SECTOR;
    if (effect.op === 'read' && effect.length > SECTOR) return this.#areaRead();
    if (sector === 0) return `leader ${effect.op}`;
    if (sector === REQUEST_SECTOR) return `request ${effect.op}`;
    if (sector === LVB_SECTOR) return `value block ${effect.op}`;
    return effect.op === 'write' ? `${this.#phase(effect.bytes)} write` : 'block read';
  }

  #areaRead(): string {
    return this.#lastBlock.startsWith('phase') ? `${this.#lastBlock} read` : 'area read';
  }

  #phase(sector: Uint8Array): 'phase1' | 'phase2' | 'block' {
    const block = decode(dblock, sector);
    if (block.bal < block.mbal && block.flags === 0) return 'phase1';
    return this.#lastBlock === 'phase1' && block.flags === 0 ? 'phase2' : 'block';
  }

  /** One line for an effect that was carried out. */
  line(effect: Readonly<Effect>, reply: Readonly<Reply>): string {
    const label = this.label(effect);
    if (label.endsWith('phase1 write')) this.#lastBlock = 'phase1';
    else if (label === 'phase2 write') this.#lastBlock = 'phase2';
    else if (label === 'block write' || label.startsWith('leader')) this.#lastBlock = 'other';
    const end = reply.outcome === 'done' ? '' : ` -> ${reply.outcome}`;
    return this.#words(effect, reply, label) + end;
  }

  #words(effect: Readonly<Effect>, reply: Readonly<Reply>, label: string): string {
    switch (effect.op) {
      case 'sleep':
        return `sleep ${effect.forMs} ms`;
      case 'settle':
        return label;
      case 'write': {
        const words = writeWords(effect.offset / SECTOR, effect.bytes, label);
        const { writeToo } = effect;
        if (writeToo === undefined) return words;
        const too = this.label({ ...effect, ...writeToo });
        return `${words}, ${writeWords(writeToo.offset / SECTOR, writeToo.bytes, too)}`;
      }
      case 'read':
        if (reply.outcome !== 'done') return label;
        return readWords(effect, reply.bytes, label);
      default:
        return unreachable(effect);
    }
  }
}

function settledSector(sector: number): string {
  if (sector === 0) return 'leader';
  return sector === LVB_SECTOR ? 'value block' : `dblock[${sector - 1}]`;
}

function writeWords(sector: number, bytes: Uint8Array, label: string): string {
  if (label === 'leader write') return `write leader ${leaderWords(decode(paxosLeader, bytes))}`;
  if (label === 'value block write' || label === 'request write')
    return `write ${label.slice(0, -6)}`;
  const hostId = sector - 1;
  const area = new Uint8Array(SECTOR * 3); // scanBlocks reads sector 2 for host 1
  area.set(bytes, SECTOR * 2);
  const [block] = scanBlocks(area, GEOMETRY_512_1M, 1);
  if (block === undefined) return `write dblock[${hostId}] zero`;
  const shared = block.shared ? ` SHARED=${block.sharedGeneration}` : '';
  return `write dblock[${hostId}] ${blockWords(block.dblock)}${shared}`;
}

function readWords(
  effect: Readonly<Effect & { op: 'read' }>,
  bytes: Uint8Array,
  label: string,
): string {
  if (effect.disk === 'lockspace') {
    const record = decode(deltaLeader, bytes);
    const hostId = effect.offset / SECTOR + 1;
    const state = record.timestampS === 0n ? 'free' : `timestamp=${record.timestampS}`;
    return `read host lease[${hostId}] generation=${record.ownerGeneration} ${state}`;
  }
  if (label === 'leader read') return `read leader ${leaderWords(decode(paxosLeader, bytes))}`;
  if (label === 'area read') return `read area, leader ${leaderWords(decode(paxosLeader, bytes))}`;
  if (label.startsWith('phase')) return `${label} sees ${blocksSeen(bytes)}`;
  return label === 'block read' ? `read dblock[${effect.offset / SECTOR - 1}]` : `read ${label}`;
}

function blocksSeen(bytes: Uint8Array): string {
  const blocks = scanBlocks(bytes, GEOMETRY_512_1M, HARNESS_HOSTS);
  return blocks
    .map(({ hostId, dblock: block, shared }) => {
      const inp = block.inpHostId === 0n ? '' : ` inp=${block.inpHostId}:${block.inpGeneration}`;
      return `[${hostId}] mbal=${block.mbal} lver=${block.lver}${inp}${shared ? ' SHARED' : ''}`;
    })
    .join(', ');
}

function leaderWords(leader: PaxosLeader): string {
  if (leader.timestampS === 0n) return `lver=${leader.lver} free`;
  const short = (leader.flags & LEADER_FLAGS.SHORT_HOLD) === 0 ? '' : ' SHORT_HOLD';
  const by = leader.writeId === leader.ownerId ? '' : ` by=${leader.writeId}`;
  return `lver=${leader.lver} owner=${leader.ownerId}:${leader.ownerGeneration}${by}${short}`;
}

function blockWords(block: Dblock): string {
  const inp =
    block.bal === 0n ? '' : ` bal=${block.bal} inp=${block.inpHostId}:${block.inpGeneration}`;
  const released = (block.flags & DBLOCK_FLAGS.RELEASED) === 0 ? '' : ' RELEASED';
  return `mbal=${block.mbal} lver=${block.lver}${inp}${released}`;
}

/** Waiting repeats itself each second: three or more equal runs of up to four lines become one. */
export function foldRepeats(lines: readonly string[]): string[] {
  const folded: string[] = [];
  for (let at = 0; at < lines.length; ) {
    const run = [4, 3, 2, 1]
      .map((size) => repeatsAt(lines, at, size))
      .find(({ times }) => times > 2);
    if (run === undefined) {
      folded.push(lines[at] ?? '');
      at++;
      continue;
    }
    folded.push(...lines.slice(at, at + run.size), `  ... ${run.times} times`);
    at += run.size * run.times;
  }
  return folded;
}

function repeatsAt(lines: readonly string[], at: number, size: number) {
  let times = 1;
  const same = (next: number): boolean =>
    next + size <= lines.length &&
    Array.from({ length: size }, (_, i) => lines[at + i] === lines[next + i]).every(Boolean);
  while (same(at + times * size)) times++;
  return { size, times };
}
