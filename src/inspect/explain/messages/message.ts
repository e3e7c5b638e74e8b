/** A message of a program that an administrator meets, and what is behind it. */
export interface Message {
  /** Of the shortest part that is the message's own. */
  readonly pattern: RegExp;
  /** As a user sees it. */
  readonly example: string;
  /** A number below 0 in it is no result of a call. */
  readonly isWithoutResult?: true;
  readonly found: string;
  readonly todo: string;
}

export const WHO = 'holdfast who VG/LV says which host holds it, and until when it is protected';
export const WHO_FILE =
  'holdfast who --path FILE --offset 0 says who has it (docs/operations/guests.md)';
export const STORAGE =
  'see the path to the disk of the leases; holdfast who shows the last renewals';
