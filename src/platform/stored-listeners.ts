import { basename } from 'node:path';
import { keptVariable } from './clean-start.ts';
import type { FileIdentity } from './file-identity.ts';
import { giveServiceManager, hasServiceManager, notifyServiceManager } from './sd-notify.ts';
import { fcntlNumber } from './system-calls.ts';

const FIRST_FD = 3;
const MAX_FDS = 16; // we store one
const F_SETFD = 2;
const FD_CLOEXEC = 1;
const MAX_NAME_CHARS = 100; // systemd takes 255 for the whole

/** A descriptor that the service manager had in store for this daemon. */
export interface StoredListener {
  readonly fd: number;
  /** By which the service manager knows it. */
  readonly storeName: string;
  /** The file that was the name of the socket when it was bound; null: its name does not say. */
  readonly file: FileIdentity | null;
  /** A socket unit listens for this daemon (systemd.socket): its name and its end are systemd's. */
  readonly isActivated: boolean;
}

/**
 * The listening socket of a daemon, open in the service manager while none runs (systemd:
 * FileDescriptorStoreMax=): who connects then waits for the next daemon and is not refused. The
 * name in the store says which file the socket is bound to. While the socket is open its file's
 * number means no other file, so the next daemon sees whether the name still is that socket's.
 */
export class ListenerStore {
  /** Not taken yet. */
  #stored: readonly StoredListener[];

  /** `takesActivation`: one descriptor that no daemon stored is the socket of a socket unit. */
  constructor({ takesActivation } = { takesActivation: false }) {
    const stored = storedListeners();
    const [only, ...more] = stored;
    const isUnit = takesActivation && only !== undefined && more.length === 0 && only.file === null;
    this.#stored = isUnit ? [{ ...only, isActivated: true }] : stored;
  }

  /** Whether there is a store: it does not say whether it took what it was given. */
  get isThere(): boolean {
    return hasServiceManager();
  }

  /** What the last daemon left; the caller has to close each. Once only. */
  take(): readonly StoredListener[] {
    const stored = this.#stored;
    this.#stored = [];
    return stored;
  }

  /** @returns its name in the store; null: there is none */
  put(fd: number, path: string, file: FileIdentity): string | null {
    const storeName = storeNameOf(path, file);
    // Not polled: a listening socket has nothing to say there.
    const isGiven = giveServiceManager(`FDSTORE=1\nFDNAME=${storeName}\nFDPOLL=0`, fd);
    return isGiven ? storeName : null;
  }

  remove(storeName: string): void {
    notifyServiceManager(`FDSTOREREMOVE=1\nFDNAME=${storeName}`);
  }
}

/** systemd takes no ":" and no control character. */
function storeNameOf(path: string, { device, inode }: FileIdentity): string {
  const name = basename(path)
    .replace(/[^\w.-]/g, '_')
    .slice(0, MAX_NAME_CHARS);
  return `${name},${device},${inode}`;
}

function fileOf(storeName: string): FileIdentity | null {
  const match = /,(\d{1,20}),(\d{1,20})$/.exec(storeName);
  if (match === null) return null;
  const [, device = '', inode = ''] = match;
  return { device: BigInt(device), inode: BigInt(inode) };
}

/** sd_listen_fds_with_names(3). No child of ours gets them. */
function storedListeners(): readonly StoredListener[] {
  if (Number(keptVariable('LISTEN_PID')) !== process.pid) return [];
  const count = Number(keptVariable('LISTEN_FDS'));
  if (!Number.isInteger(count) || count < 1 || count > MAX_FDS) return [];
  const names = (keptVariable('LISTEN_FDNAMES') ?? '').split(':');
  return Array.from({ length: count }, (_, index) => {
    const fd = FIRST_FD + index;
    const storeName = names[index] ?? '';
    fcntlNumber(fd, F_SETFD, FD_CLOEXEC);
    return { fd, storeName, file: fileOf(storeName), isActivated: false };
  });
}
