/**
 * What the guard writes down of each guest, for the guard after it and for what ends a guest whose
 * lockspace is lost. In memory, and gone with the boot.
 */
export interface GuestRecords {
  /** By UUID: JSON. Whole or not at all. @throws when it cannot be written */
  save(uuid: string, json: string): void;
  /** Safe to repeat. */
  remove(uuid: string): void;
  /** All of this boot that can be read. */
  load(): ReadonlyMap<string, string>;
}
