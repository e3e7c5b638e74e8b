import type { ByteString } from '../base/bytes.ts';
import type { Dblock } from '../format/dblock.ts';
import type { Geometry } from '../format/geometry.ts';
import type { NoteFacts } from '../format/holder-note.ts';
import type { PaxosLeader } from '../format/leader.ts';

/** All that is needed to convert or release a lease this host holds; plain data. */
export interface PaxosHold {
  readonly path: ByteString;
  readonly offset: number;
  readonly lockspaceName: ByteString;
  readonly resourceName: ByteString;
  readonly geometry: Geometry;
  readonly shared: boolean;
  /** The leader record as committed by the ballot that granted this hold. */
  readonly leader: PaxosLeader;
  /** Our own host block as last written. */
  readonly dblock: Dblock;
  /** As it stands beside that block; null: without one. */
  readonly note: NoteFacts | null;
}
