import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { GuestRecords } from '../ports/guest-records.ts';
import { bootId } from './boot-id.ts';

const FILE = /^([0-9a-f-]{36})\.json$/;
const FOLDER_MODE = 0o700;
const MODE = 0o600;

/** A file for each guest, in a folder that is this user's alone. */
export class NodeGuestRecords implements GuestRecords {
  readonly #dir: string;
  readonly #boot = bootId();

  /** @throws when the folder cannot be made */
  constructor(dir: string) {
    this.#dir = dir;
    mkdirSync(dir, { recursive: true, mode: FOLDER_MODE });
  }

  save(uuid: string, json: string): void {
    const path = this.#pathOf(uuid);
    const draft = `${path}.new`;
    writeFileSync(draft, `${this.#boot}\n${json}\n`, { mode: MODE });
    renameSync(draft, path);
  }

  remove(uuid: string): void {
    rmSync(this.#pathOf(uuid), { force: true });
  }

  load(): ReadonlyMap<string, string> {
    const found = new Map<string, string>();
    for (const name of readdirSync(this.#dir)) {
      const uuid = FILE.exec(name)?.[1];
      const json = uuid === undefined ? null : this.#read(uuid);
      if (uuid !== undefined && json !== null) found.set(uuid, json);
    }
    return found;
  }

  /** null: there is none of this boot. */
  #read(uuid: string): string | null {
    try {
      const [boot, json = ''] = readFileSync(this.#pathOf(uuid), 'utf8').split('\n');
      return boot === this.#boot ? json : null;
    } catch {
      return null;
    }
  }

  #pathOf(uuid: string): string {
    return join(this.#dir, `${uuid}.json`);
  }
}
