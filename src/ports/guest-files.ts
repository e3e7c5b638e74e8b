/** The status files of libvirtd in its run directory, one for each guest that runs. */
export interface GuestFiles {
  /**
   * Calls back with a guest's name and its file, at first for all that are there, then whenever one
   * has changed; null: it is gone. A directory that is not there yet is waited for.
   */
  watch(changed: (name: string, xml: string | null) => void): void;
  /** Safe to repeat. */
  close(): void;
}
