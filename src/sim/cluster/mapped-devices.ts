import { ERRNO } from '../../base/errno.ts';
import type { ActiveLv } from '../../ports/active-lvs.ts';
import type { DeviceMapper, MappedTable } from '../../ports/device-mapper.ts';

/** Device-mapper of a simulated host: one linear device for each active LV, or an error table. */
export class SimDeviceMapper implements DeviceMapper {
  readonly #active: () => readonly ActiveLv[] | null;
  readonly #failed = new Set<string>();
  /** Swaps that wait for I/O under way; null: none does. */
  waiting: (() => void)[] | null = null;

  /** `active`: null: the host has no device-mapper. */
  constructor(active: () => readonly ActiveLv[] | null) {
    this.#active = active;
  }

  list() {
    const active = this.#active();
    if (active === null) return null;
    return active.map((lv, index) => ({
      kernelName: `dm-${index}`,
      number: `253:${index}`,
      name: lv.deviceName,
      uuid: uuidOf(lv),
      sectors: SECTORS,
      slaves: this.#failed.has(uuidOf(lv)) ? [] : ['sda'],
      holders: [],
    }));
  }

  table(uuid: string, answer: (table: MappedTable | number) => void): void {
    if (!this.#has(uuid)) answer(ERRNO.ENXIO);
    else
      answer({
        targets: [this.#target(uuid)],
        isSuspended: false,
        isReadOnly: false,
        openCount: 1,
      });
  }

  fail({ uuid }: { readonly uuid: string }, answer: (errno: number) => void): void {
    const swap = () => {
      this.#failed.add(uuid);
      answer(0);
    };
    if (!this.#has(uuid)) answer(ERRNO.ENXIO);
    else if (this.waiting === null) swap();
    else this.waiting.push(swap);
  }

  remove(uuid: string, answer: (errno: number) => void): void {
    this.#failed.delete(uuid);
    answer(0);
  }

  hasDevice(): boolean {
    return true;
  }

  #has(uuid: string): boolean {
    return this.#active()?.some((lv) => uuidOf(lv) === uuid) === true;
  }

  #target(uuid: string) {
    const isFailed = this.#failed.has(uuid);
    const type = isFailed ? 'error' : 'linear';
    return { start: 0n, length: SECTORS, type, parameters: isFailed ? '' : '8:0 2048' };
  }
}

const SECTORS = 8192n;

function uuidOf({ vgUuid, lvUuid }: ActiveLv): string {
  return `LVM-${vgUuid}${lvUuid}`;
}
