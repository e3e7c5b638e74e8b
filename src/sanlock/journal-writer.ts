import type { Front } from './front.ts';
import type { Line } from './holder-lines.ts';
import { textsOfClients, textsOfLost, textsOfSpace, textsOfSurvivor } from './journal-lines.ts';

/** The journal is written anew when it has grown by so much, or to twice what is needed. */
const MAX_GROWTH_BYTES = 2 ** 19;

/** @returns whether it is written */
export function append(front: Front, line: Line): boolean {
  return appendText(front, JSON.stringify(line));
}

/** @returns whether it is written */
export function appendText(front: Front, text: string): boolean {
  const state = front.journalState;
  state.bytes += text.length;
  // However many leases are kept, it is written anew only once in so many lines.
  const isLong = state.bytes > state.neededBytes + Math.max(state.neededBytes, MAX_GROWTH_BYTES);
  if ((isLong || state.isBehind) && rewrite(front)) return true;
  if (!state.isBehind && front.journal.append(text)) return true;
  // Where there is no room for one more line, a new journal without the old lines may have it.
  state.isBehind = !rewrite(front);
  return !state.isBehind;
}

/** @returns whether all that could not be written is written now */
export function catchUp(front: Front): boolean {
  return !front.journalState.isBehind || rewrite(front);
}

/** Writes the journal anew, with only what still counts. @returns whether it is written */
export function rewrite(front: Front): boolean {
  const state = front.journalState;
  const texts = state.holdersUnknown ? [JSON.stringify({ kind: 'unknown' } satisfies Line)] : [];
  texts.push(...textsOfClients(front));
  for (const survivor of front.survivors) texts.push(...textsOfSurvivor(survivor));
  for (const one of front.lost) texts.push(...textsOfLost(front, one));
  for (const space of front.lockspaces) {
    if (space.isRecorded) texts.push(...textsOfSpace(front, space));
  }
  if (!front.journal.replace(texts)) return false;
  state.isBehind = false;
  state.bytes = texts.reduce((sum, { length }) => sum + length, 0);
  state.neededBytes = state.bytes;
  return true;
}
