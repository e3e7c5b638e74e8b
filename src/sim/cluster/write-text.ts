import type { Io, IoFate } from '../kernel/disk.ts';
import { sectorAt } from '../kernel/layout.ts';

/** A write and its fate, for the trace. */
export function describeWrite(io: Io, fate: IoFate): string {
  return `writes ${whereIs(io.offset)} ${fateText(fate)}`;
}

function whereIs(offset: number): string {
  const at = sectorAt(offset);
  if (at.kind === 'hostLease') return `host lease ${at.hostId}`;
  if (at.kind === 'block') return `R${at.resource} block[${at.hostId}]`;
  return at.kind === 'nothing' ? `sector at ${offset}` : `R${at.resource} ${at.kind}`;
}

function fateText(fate: IoFate): string {
  if (fate.errno !== null) {
    const { refusedLandsInMs: inMs } = fate;
    const lands = inMs === undefined ? '' : `, lands in ${Math.round(inMs)} ms`;
    return `(errno ${fate.errno}${lands})`;
  }
  if (fate.landsInMs === Infinity) return '(lost)';
  if (fate.answersInMs === Infinity) return '(lands, answer lost)';
  return fate.landsInMs > 100 ? `(lands in ${Math.round(fate.landsInMs)} ms)` : '';
}
