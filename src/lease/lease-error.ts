/** Why a lease procedure refused. The names are those of the numbers in wire/sanlock/codes. */
export type LeaseErrorCode =
  | 'ERRNO' // a kernel or plain errno result: `errno` says which
  | 'ERROR'
  | 'AIO_TIMEOUT'
  | 'DBLOCK_READ'
  | 'DBLOCK_WRITE'
  | 'DBLOCK_LVER'
  | 'DBLOCK_MBAL'
  | 'DBLOCK_CHECKSUM'
  | 'LEADER_READ'
  | 'LEADER_WRITE'
  | 'LEADER_MAGIC'
  | 'LEADER_VERSION'
  | 'LEADER_SECTORSIZE'
  | 'LEADER_LOCKSPACE'
  | 'LEADER_RESOURCE'
  | 'LEADER_NUMHOSTS'
  | 'LEADER_CHECKSUM'
  | 'ADDLS_SIZES'
  | 'ADDLS_INVALID_HOSTID'
  | 'ACQUIRE_LVER'
  | 'ACQUIRE_LOCKSPACE'
  | 'ACQUIRE_IDDISK'
  | 'ACQUIRE_IDLIVE'
  | 'ACQUIRE_OWNED'
  | 'ACQUIRE_OTHER'
  | 'ACQUIRE_SHRETRY'
  | 'ACQUIRE_OWNED_RETRY'
  | 'RELEASE_LVER'
  | 'RELEASE_OWNER'
  | 'RENEW_OWNER'
  | 'RENEW_DIFF'
  | 'HOSTID_BUSY'
  | 'REQUEST_MAGIC'
  | 'REQUEST_VERSION'
  | 'REQUEST_OLD'
  | 'REQUEST_LVER'
  | 'RINDEX_MAGIC'
  | 'RINDEX_VERSION'
  | 'RINDEX_LOCKSPACE'
  | 'RINDEX_OFFSET'
  | 'RINDEX_DIFF';

/**
 * An expected refusal: what an existing client must see, and what an administrator needs to know.
 */
export interface LeaseError {
  readonly code: LeaseErrorCode;
  /** Positive; present exactly when `code` is 'ERRNO'. */
  readonly errno?: number;
  /** What was being attempted: 'paxos acquire, phase 2 read'. */
  readonly during: string;
  readonly facts: Readonly<Record<string, string | number | bigint>>;
}
