import { closeSync, constants, existsSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { ERRNO } from '../base/errno.ts';
import type {
  DeviceMapper,
  FailedDevice,
  MappedDevice,
  MappedTable,
} from '../ports/device-mapper.ts';
import {
  DM_COMMANDS,
  errorTableMessage,
  removeMessage,
  swapMessage,
  tableMessage,
  tableOf,
  versionMessage,
} from './dm-ioctl.ts';
import { ioctlLater } from './system-calls.ts';
import { errnoOf } from './system-error.ts';

const CONTROL = '/dev/mapper/control';
const TABLE_BYTES = 16 * 1024;
/** An LV of thousands of segments; the kernel takes no larger message from anybody but root. */
const MAX_TABLE_BYTES = 16 * 1024 * 1024;

/**
 * Device-mapper by its own calls: no program is read from a disk that may be the failing one. They
 * run on threads, of which there are four (libuv): one that hangs holds up no other work of ours
 * but further calls of this kind.
 */
export class LinuxDeviceMapper implements DeviceMapper {
  readonly #sysfs: string;
  readonly #control: string;
  #fd: number | null = null;

  constructor(sysfs = '/sys', control = CONTROL) {
    this.#sysfs = sysfs;
    this.#control = control;
  }

  /** Opens the control device and starts the threads, so that nothing is loaded when it counts. */
  warmUp(): void {
    this.#call(DM_COMMANDS.VERSION, versionMessage(), () => {});
  }

  close(): void {
    if (this.#fd !== null) closeSync(this.#fd);
    this.#fd = null;
  }

  list(): readonly MappedDevice[] | null {
    if (!this.#isThere()) return null;
    try {
      const folder = `${this.#sysfs}/block`;
      const names = readdirSync(folder).filter((name) => name.startsWith('dm-'));
      return names.flatMap((name) => mappedAt(`${folder}/${name}`, name) ?? []);
    } catch {
      return null; // no answer at all, rather than one with devices left out
    }
  }

  table(uuid: string, answer: (table: MappedTable | number) => void): void {
    this.#table(uuid, TABLE_BYTES, answer);
  }

  fail(device: FailedDevice, answer: (errno: number) => void): void {
    this.#call(DM_COMMANDS.TABLE_LOAD, errorTableMessage(device), (errno) => {
      if (errno !== 0) answer(errno);
      else this.#call(DM_COMMANDS.DEV_SUSPEND, swapMessage(device.uuid), answer);
    });
  }

  remove(uuid: string, answer: (errno: number) => void): void {
    this.#call(DM_COMMANDS.DEV_REMOVE, removeMessage(uuid), answer);
  }

  hasDevice(number: string): boolean {
    return existsSync(`${this.#sysfs}/dev/block/${number}`);
  }

  #table(uuid: string, roomBytes: number, answer: (table: MappedTable | number) => void): void {
    const message = tableMessage(uuid, roomBytes);
    this.#call(DM_COMMANDS.TABLE_STATUS, message, (errno) => {
      const table = errno === 0 ? tableOf(message) : null;
      if (errno !== 0) answer(errno);
      else if (table !== null) answer(table);
      else if (roomBytes >= MAX_TABLE_BYTES) answer(ERRNO.E2BIG);
      else this.#table(uuid, roomBytes * 8, answer);
    });
  }

  /** Opening the control device would load the module where nobody uses it. */
  #isThere(): boolean {
    return existsSync(`${this.#sysfs}/class/misc/device-mapper`);
  }

  #call(command: number, message: Uint8Array, answer: (errno: number) => void): void {
    try {
      if (this.#fd === null && !this.#isThere()) answer(ERRNO.ENODEV);
      else {
        this.#fd ??= openSync(this.#control, constants.O_RDWR);
        ioctlLater(this.#fd, command, message, answer);
      }
    } catch (error) {
      answer(errnoOf(error));
    }
  }
}

function mappedAt(folder: string, kernelName: string): MappedDevice | null {
  const read = (name: string) => readFileSync(`${folder}/${name}`, 'latin1').trim();
  try {
    return {
      kernelName,
      number: read('dev'),
      name: read('dm/name'),
      uuid: read('dm/uuid'),
      sectors: BigInt(read('size')),
      slaves: readdirSync(`${folder}/slaves`),
      holders: readdirSync(`${folder}/holders`),
    };
  } catch (error) {
    if (isGone(error)) return null; // it was removed since the folder was listed
    throw error;
  }
}

function isGone(error: unknown): boolean {
  const errno = errnoOf(error);
  return errno === ERRNO.ENOENT || errno === ERRNO.ENODEV || errno === ERRNO.ENXIO;
}
