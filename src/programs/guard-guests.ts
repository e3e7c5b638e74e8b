import { decodeRecord, encodeRecord, type Mark, type WrittenRecord } from '../guard/record.ts';
import type { GuardEvent, GuestRecord } from '../guard/state.ts';
import type { GuestRecords } from '../ports/guest-records.ts';
import type { Keepers, Killpath } from '../ports/keepers.ts';
import type { Log } from '../ports/log.ts';
import type { BoundProcess } from '../ports/processes.ts';

export interface GuardGuestsPorts {
  readonly log: Log;
  readonly keepers: Keepers;
  readonly records: GuestRecords;
  readonly killpathOf: (uuid: string) => Killpath;
  /** The process of that pid, whichever it is now; null: there is none. */
  readonly processAt: (pid: number) => BoundProcess | null;
  readonly post: (event: GuardEvent) => void;
}

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

  /** What the guard before this one left. */
  find(): Extract<GuardEvent, { kind: 'found' }> {
    const { keepers, log, records } = this.#ports;
    const guests = [...records.load()].flatMap(([uuid, json]) => {
      const record = decodeRecord(uuid, json);
      if (!record.ok) {
        log.error('record.unreadable', { uuid, reason: record.error });
        return [];
      }
      const { keeper, qemu } = record.value;
      const found = keeper === null ? null : keepers.find(keeper.pid, keeper.identity);
      const qemuHasEnded = qemu !== null && this.#qemuAt(qemu) === null;
      this.#guests.set(uuid, { keeper: found, qemu: null, record: record.value });
      if (found !== null) this.#watchKeeper(uuid, found);
      return [{ ...record.value, keeperLives: found !== null, qemuHasEnded }];
    });
    return { kind: 'found', guests };
  }

  startKeeper(uuid: string, name: string): void {
    const { keepers, killpathOf, log, post } = this.#ports;
    keepers.start(killpathOf(uuid), (keeper) => {
      if ('trouble' in keeper) {
        log.error('keeper.notStarted', { guest: name, uuid, reason: keeper.trouble });
        post({ kind: 'keeperNotStarted', uuid, reason: keeper.trouble });
        return;
      }
      this.#of(uuid).keeper = keeper;
      this.#watchKeeper(uuid, keeper);
      this.#save(uuid);
      post({ kind: 'keeperStarted', uuid });
    });
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
    const { post, processAt } = this.#ports;
    const guest = this.#of(uuid);
    guest.qemu?.close();
    const qemu = processAt(pid);
    guest.qemu = qemu;
    this.#save(uuid);
    if (qemu === null) post({ kind: 'qemuEnded', uuid, pid });
    else qemu.onEnded(() => post({ kind: 'qemuEnded', uuid, pid }));
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

  #qemuAt({ pid, identity }: Mark): BoundProcess | null {
    const qemu = this.#ports.processAt(pid);
    const isIt = qemu?.identity === identity;
    qemu?.close();
    return isIt ? qemu : null;
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

  /** Where it cannot be written, a restart of the guard costs this guest its next lease, or a wait. */
  #save(uuid: string): void {
    const { log, records } = this.#ports;
    const { keeper, qemu, record } = this.#of(uuid);
    if (record === null) return;
    const written: WrittenRecord = { ...record, keeper: markOf(keeper), qemu: markOf(qemu) };
    try {
      records.save(uuid, encodeRecord(written));
    } catch (error) {
      const reason = error instanceof Error ? error.message : `${error}`;
      log.error('record.notWritten', { guest: record.name, uuid, reason });
    }
  }
}

function markOf(of: BoundProcess | null): Mark | null {
  const identity = of?.identity ?? null;
  return of === null || identity === null ? null : { pid: of.pid, identity };
}
