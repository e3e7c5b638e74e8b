import { SECOND_MS } from '../base/units.ts';
import { HOLDFAST_VERSION } from '../base/version.ts';
import type { Logged } from '../inspect/explain/logged.ts';
import type { Snapshot } from '../inspect/snapshot/snapshot.ts';
import { CHANGE_LEVELS, changesOf, remembered } from '../inspect/snapshot/snapshot-changes.ts';
import { changeText, loggedText } from './event-text.ts';
import { type Attention, EVENTS_KEPT, type EventRow, type Head, type Look } from './model.ts';
import { Renewals } from './renewals.ts';
import { RowTable } from './row-table.ts';
import { fit, type View, viewOf } from './view.ts';

/** Of what only a log tells. */
export const LOGGED_LEVELS: Readonly<Record<Logged['kind'], EventRow['level']>> = {
  leaseRefused: 'warn',
  processStopped: 'error',
  leaseNotHeld: 'error',
};

/** Of one look; a sentence may name several LVs. */
const MAX_ATTENTION = 100;
const MAX_SENTENCE = 400;

type Event = Omit<EventRow, 'number'>;

export interface FeedOptions {
  /** Of the host. */
  readonly name: string;
  /** Between two looks. */
  readonly everyS: number;
  /** What of a snapshot needs somebody, in sentences. */
  readonly attentionOf: (snapshot: Snapshot) => readonly Attention[];
}

/**
 * All that is known of one host, from its looks: what a page is sent at first, what it is sent
 * after each look, and what the metrics count. Everything that it keeps is bounded.
 */
export class Feed {
  readonly #options: FeedOptions;
  readonly #listeners = new Set<(message: string) => void>();
  readonly #members = new RowTable<View['members'][number]>();
  readonly #leases = new RowTable<View['leases'][number]>();
  readonly #counted = new Map<string, number>();
  readonly renewals = new Renewals();
  #events: readonly EventRow[] = [];
  #number = 0;
  /** The last look, and the same with what it did not show. */
  #seen: { readonly snapshot: Snapshot; readonly known: Snapshot } | null = null;
  #head: Head | null = null;
  #tookMs = 0;
  #failure: string | null = null;
  #views: readonly string[];
  #view = 0;

  constructor(options: FeedOptions) {
    this.#options = options;
    this.#views = [fit(options.name)];
  }

  /** Of a server that looks at several hosts: their names, and which of them this is. */
  standAmong(names: readonly string[], view: number): void {
    this.#views = names.map((name) => fit(name));
    this.#view = view;
  }

  /** The last look; null: none has succeeded yet. */
  get snapshot(): Snapshot | null {
    return this.#seen?.snapshot ?? null;
  }

  get failure(): string | null {
    return this.#failure;
  }

  get attention(): Head['attention'] {
    return this.#head?.attention ?? [];
  }

  get tookMs(): number {
    return this.#tookMs;
  }

  /** How many events of each kind there were. */
  get counted(): ReadonlyMap<string, number> {
    return this.#counted;
  }

  /** A look succeeded. @param logged what a daemon has logged since the one before */
  look(snapshot: Snapshot, tookMs: number, logged: readonly Logged[] = []): void {
    const known = this.#seen === null ? snapshot : remembered(this.#seen.known, snapshot);
    const changes = this.#seen === null ? [] : changesOf(this.#seen.known, known);
    const changed = changes.map(
      (change): Event => ({
        wallMs: snapshot.taken.wallMs,
        level: CHANGE_LEVELS[change.kind],
        kind: change.kind,
        parts: changeText(change),
      }),
    );
    this.#seen = { snapshot, known };
    this.#tookMs = tookMs;
    this.#failure = null;
    const told = logged.map((one) => loggedEvent(one, known));
    this.#publish(snapshot, this.#note([...told, ...changed]));
  }

  /** A look failed: what is shown is as it was before, and says so. */
  fail(why: string): void {
    this.#failure = fit(why);
    if (this.#head === null) return;
    this.#head = { ...this.#head, failure: this.#failure };
    const nothing = { set: [], drop: [] };
    const rest = { members: nothing, leases: nothing, events: [], renewals: {} };
    this.#send({ isWhole: false, head: this.#head, ...rest });
  }

  /** Everything, for a page that has nothing yet; null: nothing is known. */
  whole(): string | null {
    if (this.#head === null) return null;
    const { lockspaces } = this.#head;
    // From entries: a lockspace may be called __proto__.
    const renewals = Object.fromEntries(
      lockspaces.map(({ key }) => [key, this.renewals.points(key)]),
    );
    const look: Look = {
      isWhole: true,
      head: this.#head,
      members: this.#members.all(),
      leases: this.#leases.all(),
      events: this.#events,
      renewals,
    };
    return JSON.stringify(look);
  }

  /** @returns how to listen no more */
  listen(listener: (message: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #note(events: readonly Event[]): readonly EventRow[] {
    const rows = events.map((event) => {
      this.#counted.set(event.kind, (this.#counted.get(event.kind) ?? 0) + 1);
      this.#number += 1;
      return { ...event, number: this.#number };
    });
    this.#events = [...this.#events, ...rows].slice(-EVENTS_KEPT);
    return rows;
  }

  #publish(snapshot: Snapshot, events: readonly EventRow[]): void {
    const isFirst = this.#head === null;
    const view = viewOf(snapshot);
    const renewals = Object.fromEntries(
      snapshot.lockspaces
        .map((lockspace) => [lockspace.name, this.renewals.add(lockspace)] as const)
        .filter(([, added]) => added.length > 0),
    );
    const members = this.#members.update(view.members);
    const leases = this.#leases.update(view.leases);
    this.#head = this.#headOf(snapshot, view);
    if (isFirst) this.#sendText(this.whole() ?? '');
    else this.#send({ isWhole: false, head: this.#head, members, leases, events, renewals });
  }

  #headOf(snapshot: Snapshot, view: View): Head {
    const { members, leases, ...rest } = view;
    return {
      views: this.#views,
      view: this.#view,
      host: { name: fit(snapshot.host.name), hostId: snapshot.host.hostId },
      version: HOLDFAST_VERSION,
      wallMs: snapshot.taken.wallMs,
      monotonicS: snapshot.taken.monotonicS,
      tookMs: this.#tookMs,
      everyS: this.#options.everyS,
      failure: this.#failure,
      attention: [...this.#options.attentionOf(snapshot), ...unreadOf(snapshot)]
        .slice(0, MAX_ATTENTION)
        .map(({ level, found, todo }) => ({
          level,
          found: fit(found, MAX_SENTENCE),
          todo: fit(todo, MAX_SENTENCE),
        })),
      counts: {
        hosts: new Set(members.map(({ hostId, name }) => `${hostId} ${name}`)).size,
        leases: leases.length,
        held: leases.filter(({ holders }) => (holders ?? []).length > 0).length,
      },
      ...rest,
    };
  }

  #send(look: Look): void {
    if (this.#listeners.size > 0) this.#sendText(JSON.stringify(look));
  }

  #sendText(message: string): void {
    for (const listener of this.#listeners) listener(message);
  }
}

/** What could not be looked at: what is missing is not taken for absent. */
function unreadOf({ unread }: Snapshot): readonly Attention[] {
  return unread.map(({ what, of, why }) => ({
    level: 'warn',
    found: `not read: ${of === '' ? what : `${what} ${of}`}: ${why}`,
    todo: 'what is not shown is not known',
  }));
}

/** Logged by the host's monotonic clock. */
function loggedEvent(logged: Logged, snapshot: Snapshot): Event {
  const { wallMs, monotonicS } = snapshot.taken;
  const agoS = Math.max(0, monotonicS - logged.atS);
  return {
    wallMs: wallMs - agoS * SECOND_MS,
    level: LOGGED_LEVELS[logged.kind],
    kind: logged.kind,
    parts: loggedText(logged, snapshot),
  };
}
