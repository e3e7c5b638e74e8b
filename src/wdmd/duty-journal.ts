import { type DutyFacts, type DutyLine, NO_UID } from './duty-lines.ts';
import { type Effect, log, type TestClient, type WdmdEvent, type WdmdState } from './state.ts';

/** Lines beyond the needed ones, before the journal is written anew. */
const MAX_LINES = 4000;

/**
 * What has changed in this step is recorded before anything else of it is done: a client that has
 * its answer to a STATUS may rely on its expiry.
 */
export function recordDuties(state: WdmdState): void {
  const { journal } = state;
  const lines: DutyLine[] = [];
  if (journal.state === 'sound') {
    if (journal.fireTimeoutS !== state.fireTimeoutS) lines.push(deviceLine(state));
    for (const client of state.clients) {
      if (client === null || isRecorded(client)) continue;
      const facts = factsOf(client);
      if (facts === null) journal.left.push(client.serial);
      else lines.push({ kind: 'client', id: client.serial, ...facts });
      client.recorded = facts;
    }
    // Behind the client that has taken the duty over: cut between them, both are watched.
    for (const id of journal.left) lines.push({ kind: 'gone', id });
    journal.fireTimeoutS = state.fireTimeoutS;
    journal.left = [];
  }
  if (lines.length === 0) return;
  journal.lines += lines.length;
  if (journal.lines > journal.needed + MAX_LINES) recordAll(state);
  else state.effects.unshift(...lines.map(recordOf));
}

function recordOf(line: DutyLine): Effect {
  return { kind: 'record', line: JSON.stringify(line) };
}

/** The journal is written anew, with only what counts. */
function recordAll(state: WdmdState): void {
  state.effects.unshift({ kind: 'recordAll', lines: allLines(state) });
}

/** All that a successor must know; they count as recorded. */
export function allLines(state: WdmdState): readonly string[] {
  const lines: DutyLine[] = [deviceLine(state)];
  for (const client of state.clients) {
    if (client === null) continue;
    const facts = factsOf(client);
    if (facts !== null) lines.push({ kind: 'client', id: client.serial, ...facts });
    client.recorded = facts;
  }
  const { journal } = state;
  journal.lines = lines.length;
  journal.needed = lines.length;
  journal.fireTimeoutS = state.fireTimeoutS;
  journal.left = [];
  return lines.map((line) => JSON.stringify(line));
}

/**
 * A line that could not be written may be the first expiry of a client. A successor that does not
 * know it would keep this host alive when others take its leases, so there must be no successor:
 * the journal is written anew, which needs less room, or else removed, which needs none. Then the
 * end of wdmd ends in a reset, as without a journal. Its clients are served on.
 */
export function journalEvent(
  state: WdmdState,
  event: Extract<WdmdEvent, { readonly kind: 'notRecorded' | 'allRecorded' }>,
): void {
  const { journal } = state;
  if (event.kind === 'notRecorded') {
    if (journal.state !== 'sound') return; // several lines of one step
    journal.state = 'unsound';
    recordAll(state);
    return;
  }
  const before = journal.state;
  journal.state = event.outcome === 'done' ? 'sound' : event.outcome;
  if (journal.state === before) return;
  if (event.outcome !== 'done') log(state, 'error', 'duties.notRecorded', {});
  else if (before !== 'unsound') log(state, 'warn', 'duties.recorded', {});
}

/** With each test: there may be room again. */
export function recordAgain(state: WdmdState): void {
  if (state.journal.state === 'gone' || state.journal.state === 'stuck') recordAll(state);
}

function deviceLine({ journal, devicePath, fireTimeoutS }: WdmdState): DutyLine {
  return { kind: 'device', guard: journal.guard, path: devicePath, fireTimeoutS };
}

/** null: nothing that a successor must know. */
function factsOf(client: TestClient): DutyFacts | null {
  const { name, pid, renewalS, expireS, hasRefcount, hasAskedTimeout, waits } = client;
  if (!hasRefcount && expireS === 0n) return null;
  return {
    ...{ name, pid, uid: client.peerUid ?? NO_UID, renewal: `${renewalS}`, expire: `${expireS}` },
    ...{ refcount: hasRefcount, askedTimeout: hasAskedTimeout, waits },
  };
}

function isRecorded(client: TestClient): boolean {
  const { recorded } = client;
  if (recorded === null) return !client.hasRefcount && client.expireS === 0n;
  return (
    recorded.refcount === client.hasRefcount &&
    recorded.name === client.name &&
    recorded.pid === client.pid &&
    recorded.askedTimeout === client.hasAskedTimeout &&
    recorded.waits === client.waits &&
    recorded.expire === `${client.expireS}` &&
    recorded.renewal === `${client.renewalS}`
  );
}
