import { unreachable } from '../../base/assert.ts';
import type { PidFileStep, SocketNameStep } from '../../ports/start-steps.ts';

/** A file: a name may mean another one by now. */
interface File {
  /** The process that has locked it. */
  lockedBy: RunDirectoryProcess | null;
}

interface Socket {
  isServed: boolean;
}

/** What one process has of it. */
export class RunDirectoryProcess {
  pidFile: File | null = null;
  socket: Socket | null = null;
}

/** The pid file of a daemon, its socket, and the lock of their directory, as the kernel has them. */
export class RunDirectory {
  #pidFile: File | null = null;
  #socket: Socket | null = null;
  /** The process that changes a name. */
  #changes: RunDirectoryProcess | null = null;

  pidFileStep(daemon: RunDirectoryProcess, step: PidFileStep): boolean {
    switch (step) {
      case 'open':
        this.#pidFile ??= { lockedBy: null };
        daemon.pidFile = this.#pidFile;
        return true;
      case 'lock':
        if (daemon.pidFile === null || daemon.pidFile.lockedBy !== null) return false;
        daemon.pidFile.lockedBy = daemon;
        return true;
      case 'isNamed':
        return daemon.pidFile === this.#pidFile;
      case 'writePid':
        return true;
      case 'close':
        this.unlock(daemon);
        return true;
      default:
        return unreachable(step);
    }
  }

  socketNameStep(daemon: RunDirectoryProcess, step: SocketNameStep): boolean {
    switch (step) {
      case 'isThere':
        return this.#socket !== null;
      case 'isServed':
        return this.#socket?.isServed === true;
      case 'remove':
        this.#socket = null;
        return true;
      case 'bind':
        daemon.socket = { isServed: false };
        this.#socket = daemon.socket;
        return true;
      case 'serve':
        if (daemon.socket !== null) daemon.socket.isServed = true;
        return true;
      default:
        return unreachable(step);
    }
  }

  /** @returns false: another process changes a name */
  beginsChange(daemon: RunDirectoryProcess): boolean {
    this.#changes ??= daemon;
    return this.#changes === daemon;
  }

  endsChange(daemon: RunDirectoryProcess): void {
    if (this.#changes === daemon) this.#changes = null;
  }

  /** Its descriptor of the pid file is closed. */
  unlock(daemon: RunDirectoryProcess): void {
    if (daemon.pidFile?.lockedBy === daemon) daemon.pidFile.lockedBy = null;
    daemon.pidFile = null;
  }

  /** Its socket is closed; the name stays, and nobody answers there. */
  deafen(daemon: RunDirectoryProcess): void {
    if (daemon.socket !== null) daemon.socket.isServed = false;
    daemon.socket = null;
  }

  /** It removes the name of its pid file, if it is that of its file still. */
  removeOwnPidFile(daemon: RunDirectoryProcess): void {
    if (daemon.pidFile !== null && daemon.pidFile === this.#pidFile) this.#pidFile = null;
  }

  /** Somebody removes that name, whoever has it. */
  remove(name: 'pidFile' | 'socket'): void {
    if (name === 'pidFile') this.#pidFile = null;
    else this.#socket = null;
  }
}
