import { ERRNO, type ErrnoName } from '../../base/errno.ts';

/** Success in the fields of status that show how a join or a renewal ended; 0 = none has yet. */
export const SANLK_OK = 1;

/** Result numbers an existing client must see (spec 20 §13). C: sanlock_rv.h */
export const SANLOCK_CODES = {
  ERROR: -201,
  AIO_TIMEOUT: -202,
  WD_ERROR: -203,
  /** Of the later generation, as all of set_host (spec 21). */
  VERSION_INCOMPAT: -204,
  DBLOCK_READ: -210,
  DBLOCK_WRITE: -211,
  DBLOCK_LVER: -212,
  DBLOCK_MBAL: -213,
  DBLOCK_CHECKSUM: -214,
  LEADER_READ: -220,
  LEADER_WRITE: -221,
  LEADER_DIFF: -222,
  LEADER_MAGIC: -223,
  LEADER_VERSION: -224,
  LEADER_SECTORSIZE: -225,
  LEADER_LOCKSPACE: -226,
  LEADER_RESOURCE: -227,
  LEADER_NUMHOSTS: -228,
  LEADER_CHECKSUM: -229,
  ADDLS_SIZES: -230,
  ADDLS_INVALID_HOSTID: -231,
  ACQUIRE_LVER: -240,
  ACQUIRE_LOCKSPACE: -241,
  ACQUIRE_IDDISK: -242,
  ACQUIRE_IDLIVE: -243,
  ACQUIRE_OWNED: -244,
  ACQUIRE_OTHER: -245,
  ACQUIRE_SHRETRY: -246,
  ACQUIRE_OWNED_RETRY: -247,
  RELEASE_LVER: -250,
  RELEASE_OWNER: -251,
  RENEW_OWNER: -260,
  RENEW_DIFF: -261,
  HOSTID_BUSY: -262,
  REQUEST_MAGIC: -270,
  REQUEST_VERSION: -271,
  REQUEST_OLD: -272,
  REQUEST_LVER: -273,
  RINDEX_MAGIC: -274,
  RINDEX_VERSION: -275,
  RINDEX_LOCKSPACE: -276,
  RINDEX_OFFSET: -277,
  RINDEX_DIFF: -278,
} as const;

/** The errors that sanlock answers on its sockets, as negative numbers. */
export const SOCKET_ERRORS = [
  'EPERM',
  'ENOENT',
  'ESRCH',
  'EIO',
  'ENXIO',
  'E2BIG',
  'EAGAIN',
  'ENOMEM',
  'EACCES',
  'EBUSY',
  'EEXIST',
  'ENODEV',
  'ENOTDIR',
  'EISDIR',
  'EINVAL',
  'ENFILE',
  'EMFILE',
  'ENOTTY',
  'ENOSPC',
  'EROFS',
  'ERANGE',
  'ENOLCK',
  'ENOTEMPTY',
  'ELOOP',
  'EUNATCH',
  'ENOCSI',
  'EXFULL',
  'ELIBACC',
  'ELIBBAD',
  'ELIBSCN',
  'EMSGSIZE',
  'EPROTONOSUPPORT',
  'EOPNOTSUPP',
  'ENOTCONN',
  'ETIMEDOUT',
  'ECONNREFUSED',
  'EALREADY',
  'EINPROGRESS',
  'ESTALE',
  'EUCLEAN',
  'EREMOTEIO',
  'ENOMEDIUM',
  'ECANCELED',
] as const satisfies readonly ErrnoName[];

const NAMES: ReadonlyMap<number, string> = new Map([
  ...SOCKET_ERRORS.map((name) => [-ERRNO[name], name] as const),
  ...Object.entries(SANLOCK_CODES).map(([name, code]) => [code, name] as const),
]);

/** 'ACQUIRE_IDLIVE' for −243, 'ENOENT' for −2; 'code N' for a number without a name. */
export function codeName(code: number): string {
  return NAMES.get(code) ?? `code ${code}`;
}
