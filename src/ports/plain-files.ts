/**
 * Files in a directory that may hang, as one of NFS does: each call is answered once, by its
 * deadline. Paths are text; errors are negative errno, −110 at the deadline.
 */
export interface PlainFiles {
  /** 1: it is there, and is a regular file; 0: there is none. */
  exists(path: string, answer: (code: number) => void): void;
  /** A new file of that many zeros, with this owner; −17 if there is one. null: who runs this. */
  create(
    path: string,
    of: {
      readonly bytes: number;
      readonly mode: number;
      readonly uid: number | null;
      readonly gid: number | null;
    },
    answer: (code: number) => void,
  ): void;
  /** Zeros behind what the file has, up to that many bytes in all. */
  grow(path: string, bytes: number, answer: (code: number) => void): void;
  /** Another name of a file, durable when it is answered; −17 if the name is taken. */
  link(from: string, to: string, answer: (code: number) => void): void;
  /** 0 also where there is none. */
  remove(path: string, answer: (code: number) => void): void;
}
