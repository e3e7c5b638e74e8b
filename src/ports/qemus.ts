import type { BoundProcess } from './processes.ts';

/** The QEMUs that libvirt runs on this host. */
export interface Qemus {
  /** The process of that pid, unless it surely is not the QEMU of that guest; null: it has ended. */
  at(uuid: string, pid: number): BoundProcess | null;
  /** null: none of that guest runs, whatever libvirt knows. */
  find(uuid: string): BoundProcess | null;
  /** All that run, by what the kernel says, also such as libvirt knows no more. */
  running(): readonly { readonly uuid: string; readonly pid: number }[];
}
