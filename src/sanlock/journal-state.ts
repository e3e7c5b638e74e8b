/** What the front knows of the journal of holders. */
export interface JournalState {
  /** An earlier journal was damaged: it may have named other holders. */
  holdersUnknown: boolean;
  /** Whether the last join could be recorded; a change to false is logged. */
  tookLastJoin: boolean;
  lines: number;
  /** The lines that were needed when it was last written anew. */
  neededLines: number;
}

export function newJournalState(): JournalState {
  return { holdersUnknown: false, tookLastJoin: true, lines: 0, neededLines: 0 };
}
