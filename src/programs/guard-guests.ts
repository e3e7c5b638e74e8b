import { fail } from '../base/result.ts';
import { decodeRecord, encodeRecord, type Mark, type WrittenRecord } from '../guard/record.ts';
import type { GuardEvent, GuestRecord } from '../guard/state.ts';
import type { GuestRecords } from '../ports/guest-records.ts';
import type { Keepers, Killpath } from '../ports/keepers.ts';
import type { Log } from '../ports/log.ts';
import type { BoundProcess } from '../ports/processes.ts';
import type { Qemus } from '../ports/qemus.ts';

export interface GuardGuestsPorts {
  readonly log: Log;
  readonly keepers: Keepers;
  readonly records: GuestRecords;
  readonly killpathOf: (uuid: string) => Killpath;
  readonly qemus: Qemus;
  readonly post: (event: GuardEvent) => void;
}

type Found = Extract<GuardEvent, { kind: 'found' }>['guests'][number];

interface Processes {
  keeper: BoundProcess | null;
  qemu: BoundProcess | null;
  record: GuestRecord | null;
}

/** The processes of each guest, its keeper and its QEMU, and what is written down of it. */
export class GuardGuests {
  readonly #ports: GuardGuestsPorts;
  readonly #guests = new Map<string, Processes>();

  constructor(ports: GuardGuestsPorts) {
    this.#ports = ports;
  }

  keeperPid(uuid: string): number | null {
    return this.#guests.get(uuid)?.keeper?.pid ?? null;
  }

  /** The guest that a process keeps the leases of; null: it is no keeper. */
  guestOfKeeper(pid: number): string | null {
    for (const { keeper, record } of this.#guests.values()) {
      if (keeper?.pid === pid) return record?.name ?? null;
    }
    return null;
  }

  /**
   * What the guard before this one left: guests that it wrote down, and such as have a keeper or a
   * record that cannot be read, of which no more is known.
   */
  find(): Extract<GuardEvent, { kind: 'found' }> {
    const { keepers, log, records: files } = this.#ports;
    const running = new Map<string, BoundProcess[]>();
    for (const { uuid, keeper } of keepers.all()) {
      running.set(uuid, [...(running.get(uuid) ?? []), keeper]);
    }
    const written = files.load();
    const uuids = new Set([...written.keys(), ...running.keys()]);
    const records = [...uuids].map((uuid) => {
      const json = written.get(uuid);
      const record = json === undefined ? fail('there is none') : decodeRecord(uuid, json);
      if (!record.ok) log.error('record.unreadable', { uuid, reason: record.error });
      return record.ok ? record.value : unknownGuest(uuid);
    });
    const qemus = this.#unwrittenQemus(records);
    const guests = records.map((record) => {
      const { uuid } = record;
      const qemuPid = record.qemuPid ?? qemus.get(uuid) ?? null;
      return this.#found({ ...record, qemuPid }, running.get(uuid) ?? []);
    });
    return { kind: 'found', guests };
  }

  /**
   * QEMUs of guests whose record names none, by UUID. libvirt gives up one that hangs, and calls
   * the release hook: only the kernel knows then that its guest may still write.
   */
  #unwrittenQemus(records: readonly WrittenRecord[]): ReadonlyMap<string, number> {
    if (records.every(({ qemuPid }) => qemuPid !== null)) return new Map();
    return new Map(this.#ports.qemus.running().map(({ uuid, pid }) => [uuid, pid]));
  }

  #found(written: WrittenRecord, running: readonly BoundProcess[]): Found {
    const { uuid, qemu } = written;
    const known = written.keeper;
    const recorded = known === null ? null : this.#ports.keepers.find(known.pid, known.identity);
    const keeper = this.#oneKeeper(uuid, recorded, running);
    const qemuHasEnded = qemu !== null && !this.#isRunning(uuid, qemu);
    // What the one that it names had, if that is another one, is orphaned.
    const { holdings, orphans } = written;
    const had = { holdings: new Map(), orphans: new Map([...orphans, ...holdings]) };
    const record = { ...written, ...(recorded === null ? had : {}) };
    this.#guests.set(uuid, { keeper, qemu: null, record });
    if (keeper !== null) this.#watchKeeper(uuid, keeper);
    return { ...record, keeperLives: keeper !== null, qemuHasEnded };
  }

  /**
   * A guard that was killed may have left one that it had not written down yet. All but one end:
   * what they have is orphaned, and adopted.
   */
  #oneKeeper(
    uuid: string,
    recorded: BoundProcess | null,
    running: readonly BoundProcess[],
  ): BoundProcess | null {
    const { log } = this.#ports;
    let keeper = recorded;
    for (const one of running) {
      if (one.pid === recorded?.pid) {
        one.close();
      } else if (keeper === null) {
        log.warn('keeper.unrecorded', { uuid, pid: one.pid });
        keeper = one;
      } else {
        log.warn('keeper.superfluous', { uuid, pid: one.pid });
        one.signal('SIGKILL');
        one.close();
      }
    }
    return keeper;
  }

  /** A guest that starts is refused where it cannot be recorded; one that runs needs it anyway. */
  startKeeper(uuid: string, name: string): void {
    const { keepers, killpathOf, log, post } = this.#ports;
    keepers.start({ uuid, killpath: killpathOf(uuid) }, (keeper) => {
      const notStarted = (reason: string): void => {
        log.error('keeper.notStarted', { guest: name, uuid, reason });
        post({ kind: 'keeperNotStarted', uuid, reason });
      };
      if ('trouble' in keeper) {
        notStarted(keeper.trouble);
        return;
      }
      const guest = this.#of(uuid);
      guest.keeper = keeper;
      const trouble = this.#save(uuid);
      if (trouble !== null && guest.record?.qemuPid === null) {
        this.dropKeeper(uuid);
        notStarted(`what is known of the guest cannot be written down: ${trouble}`);
        return;
      }
      this.#watchKeeper(uuid, keeper);
      post({ kind: 'keeperStarted', uuid });
    });
  }

  /** What it has, if anything, is orphaned. */
  dropKeeper(uuid: string): void {
    const guest = this.#of(uuid);
    guest.keeper?.signal('SIGKILL');
    guest.keeper?.close();
    guest.keeper = null;
    this.#save(uuid);
  }

  /** The guest is over: nothing is known of it any more. */
  end(uuid: string): void {
    const guest = this.#guests.get(uuid);
    this.#guests.delete(uuid);
    guest?.keeper?.signal('SIGKILL');
    guest?.keeper?.close();
    guest?.qemu?.close();
    this.#ports.records.remove(uuid);
  }

  watchQemu(uuid: string, pid: number): void {
    const { post, qemus } = this.#ports;
    const guest = this.#of(uuid);
    guest.qemu?.close();
    const qemu = qemus.at(uuid, pid);
    guest.qemu = qemu;
    this.#save(uuid);
    if (qemu === null) post({ kind: 'qemuEnded', uuid, pid });
    else qemu.onEnded(() => post({ kind: 'qemuEnded', uuid, pid }));
  }

  findQemu(uuid: string): void {
    const qemu = this.#ports.qemus.find(uuid);
    qemu?.close(); // it is watched where it is still wanted
    this.#ports.post({ kind: 'qemuLookedFor', uuid, pid: qemu?.pid ?? null });
  }

  /** Its leases are lost, and it has no keeper for which sanlock would do this. */
  lose(uuid: string): void {
    this.#ports.keepers.lose(this.#ports.killpathOf(uuid));
  }

  endQemu(uuid: string): void {
    this.#guests.get(uuid)?.qemu?.signal('SIGKILL');
  }

  record(record: GuestRecord): void {
    this.#of(record.uuid).record = record;
    this.#save(record.uuid);
  }

  /** They go on; the next guard finds them. */
  close(): void {
    for (const { keeper, qemu } of this.#guests.values()) {
      keeper?.close();
      qemu?.close();
    }
    this.#guests.clear();
  }

  #of(uuid: string): Processes {
    const guest = this.#guests.get(uuid) ?? { keeper: null, qemu: null, record: null };
    this.#guests.set(uuid, guest);
    return guest;
  }

  #isRunning(uuid: string, { pid, identity }: Mark): boolean {
    const qemu = this.#ports.qemus.at(uuid, pid);
    const itsIdentity = qemu?.identity ?? null; // null: it cannot be read, which is no end
    qemu?.close();
    return qemu !== null && (itsIdentity === null || itsIdentity === identity);
  }

  #watchKeeper(uuid: string, keeper: BoundProcess): void {
    keeper.onEnded(() => {
      const guest = this.#guests.get(uuid);
      if (guest === undefined || guest.keeper !== keeper) return;
      guest.keeper = null;
      this.#save(uuid);
      this.#ports.post({ kind: 'keeperEnded', uuid });
    });
  }

  /**
   * Where it cannot be written, the next guard finds this guest by its keeper, and by libvirt.
   * @returns why not; null: it is written, or nothing is known yet
   */
  #save(uuid: string): string | null {
    const { log, records } = this.#ports;
    const { keeper, qemu, record } = this.#of(uuid);
    if (record === null) return null;
    // One of its last run here is none: this guest would be taken for one that has ended.
    const isLatest = qemu?.pid === record.qemuPid;
    const marks = { keeper: markOf(keeper), qemu: isLatest ? markOf(qemu) : null };
    const written: WrittenRecord = { ...record, ...marks };
    try {
      records.save(uuid, encodeRecord(written));
      return null;
    } catch (error) {
      const reason = error instanceof Error ? error.message : `${error}`;
      log.error('record.notWritten', { guest: record.name, uuid, reason });
      return reason;
    }
  }
}

/** libvirt says what it is called, if it runs, and sanlock what its keeper has. */
function unknownGuest(uuid: string): WrittenRecord {
  const nothing = {
    leases: [],
    holdings: new Map(),
    orphans: new Map(),
    unprotected: new Set<string>(),
  };
  const processes = { qemuPid: null, keeper: null, qemu: null };
  return { uuid, name: uuid, onLoss: 'kill', ...nothing, ...processes };
}

function markOf(of: BoundProcess | null): Mark | null {
  const identity = of?.identity ?? null;
  return of === null || identity === null ? null : { pid: of.pid, identity };
}
