/** What the front knows of the journal of holders. */
export interface JournalState {
  /** An earlier journal was damaged: it may have named other holders. */
  holdersUnknown: boolean;
  /** Whether the last join could be recorded; a change to false is logged. */
  tookLastJoin: boolean;
  /**
   * It lacks a line that could not be written: the next one must not follow on that gap, so all is
   * written anew first.
   */
  isBehind: boolean;
  /** Of all its lines. */
  bytes: number;
  /** Of the lines that were needed when it was last written anew. */
  neededBytes: number;
}

export function newJournalState(): JournalState {
  return { holdersUnknown: false, tookLastJoin: true, isBehind: false, bytes: 0, neededBytes: 0 };
}
