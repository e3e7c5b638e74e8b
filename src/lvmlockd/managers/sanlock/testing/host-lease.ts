import { zeroRecord } from '../../../../codec/struct.ts';
import { DELTA_DISK_MAGIC, deltaLeader, encodeDeltaLeader } from '../../../../format/leader.ts';

/** The sector of a host lease; `timestampS` 0: that host has left. */
export function hostLease(of: {
  readonly hostId: number;
  readonly name?: string;
  readonly timestampS: number;
  readonly generation?: number;
  readonly ioTimeoutS?: number;
}): Uint8Array {
  const { hostId, name = `node${hostId}`, timestampS, generation = 3, ioTimeoutS = 10 } = of;
  const bytes = new Uint8Array(512);
  const record = {
    ...zeroRecord(deltaLeader),
    ...{ magic: DELTA_DISK_MAGIC, ownerId: BigInt(hostId), hostName: name, maxHosts: 1n },
    ...{ timestampS: BigInt(timestampS), ownerGeneration: BigInt(generation), ioTimeoutS },
  };
  encodeDeltaLeader(record, bytes);
  return bytes;
}
