import { ERRNO } from '../../base/errno.ts';
import { codeName, SANLOCK_CODES, type SOCKET_ERRORS } from '../../wire/sanlock/codes.ts';

/** What a result number means for the administrator who typed the command, and what to do. */
export interface Explanation {
  readonly found: string;
  readonly todo: string;
}

type Code = keyof typeof SANLOCK_CODES | (typeof SOCKET_ERRORS)[number];

const PATH: Explanation['todo'] = 'check the path to the disk, and try again';
const LOG: Explanation['todo'] = 'the log of the daemon has more: sanlock client log_dump';
const AGAIN: Explanation['todo'] = 'try again';
const CORRECT: Explanation['todo'] = 'correct the name, or the path and offset';

/** Every number there is, for whichever command got it. */
const EXPLANATIONS: Readonly<Record<Code, Explanation>> = {
  ERROR: { found: 'the daemon gave up before it was done', todo: LOG },
  AIO_TIMEOUT: { found: 'the disk did not answer in time', todo: PATH },
  WD_ERROR: {
    found: 'the watchdog daemon cannot be used',
    todo: 'start wdmd, and see its log',
  },
  VERSION_INCOMPAT: {
    found: 'the host leases there are of a version that knows no such mark',
    todo: 'wait until the host is dead',
  },
  DBLOCK_READ: { found: 'the blocks of the hosts in the lease cannot be read', todo: PATH },
  DBLOCK_WRITE: { found: 'our block in the lease cannot be written', todo: PATH },
  DBLOCK_LVER: { found: 'another host took a later version of the lease', todo: AGAIN },
  DBLOCK_MBAL: { found: 'other hosts ask for the lease at the same time', todo: AGAIN },
  DBLOCK_CHECKSUM: {
    found: 'the block of a host in the lease is damaged',
    todo: 'holdfast who shows which, holdfast repair empties it',
  },
  LEADER_READ: { found: 'the record of the lease cannot be read', todo: PATH },
  LEADER_WRITE: { found: 'the record of the lease cannot be written', todo: PATH },
  LEADER_DIFF: { found: 'another host changed the record meanwhile', todo: AGAIN },
  LEADER_MAGIC: {
    found: 'there is no lease at that place',
    todo: 'correct the path and offset, or format it with sanlock client init',
  },
  LEADER_VERSION: {
    found: 'the lease there is of another version of the format',
    todo: 'use it with the release that made it, or format it anew once no host uses it',
  },
  LEADER_SECTORSIZE: {
    found: 'the lease there was made for sectors of another size',
    todo: 'give the sizes it was made with (-Z, -A), or format it anew once no host uses it',
  },
  LEADER_LOCKSPACE: { found: 'the lease there belongs to another lockspace', todo: CORRECT },
  LEADER_RESOURCE: { found: 'the lease there has another name', todo: CORRECT },
  LEADER_NUMHOSTS: {
    found: 'the lease there has room for fewer hosts than the host id of this one',
    todo: 'use a smaller host id, or format the lease for more hosts (-n)',
  },
  LEADER_CHECKSUM: {
    found: 'the record of the lease is damaged',
    todo: 'holdfast who shows it; format it anew once no host uses it',
  },
  ADDLS_SIZES: {
    found: 'the lockspace there has sizes that do not belong together',
    todo: 'format it anew once no host uses it',
  },
  ADDLS_INVALID_HOSTID: {
    found: 'the host id is larger than the lockspace has room for',
    todo: 'use a smaller host id',
  },
  ACQUIRE_LVER: {
    found: 'the lease has another version than was asked for',
    todo: 'ask for the version that sanlock client read shows, or for none',
  },
  ACQUIRE_LOCKSPACE: {
    found: 'whether its owner lives is not known: its lockspace is not followed',
    todo: 'add the lockspace on this host first',
  },
  ACQUIRE_IDDISK: { found: 'the host lease of its owner cannot be read', todo: PATH },
  ACQUIRE_IDLIVE: {
    found: 'a live host holds it',
    todo: 'release it there, or wait until that host is dead',
  },
  ACQUIRE_OWNED: { found: 'another host took it first', todo: 'release it there, or try again' },
  ACQUIRE_OTHER: { found: 'another host took it first', todo: 'release it there, or try again' },
  ACQUIRE_SHRETRY: { found: 'other hosts were taking it all the time', todo: AGAIN },
  ACQUIRE_OWNED_RETRY: {
    found: 'its owner is silent, but not yet surely dead',
    todo: 'try again 8 io timeouts and 60 s after its last renewal',
  },
  RELEASE_LVER: { found: 'the lease on the disk has another version than ours', todo: LOG },
  RELEASE_OWNER: { found: 'the lease on the disk is not owned as the command names it', todo: LOG },
  RENEW_OWNER: {
    found: 'another host wrote our host lease',
    todo: 'give each host a host id of its own',
  },
  RENEW_DIFF: {
    found: 'another host wrote our host lease',
    todo: 'give each host a host id of its own',
  },
  HOSTID_BUSY: {
    found: 'another host uses that host id',
    todo: 'give each host a host id of its own',
  },
  REQUEST_MAGIC: { found: 'there is no request record in the lease', todo: CORRECT },
  REQUEST_VERSION: {
    found: 'the request record is of another version of the format',
    todo: 'use it with the release that made it',
  },
  REQUEST_OLD: {
    found: 'the lease is past the version that was asked for',
    todo: 'ask for a later one',
  },
  REQUEST_LVER: { found: 'a later request stands in the lease already', todo: 'wait for it' },
  RINDEX_MAGIC: {
    found: 'there is no index of resources at that place',
    todo: 'correct the path and offset, or make one with sanlock client format',
  },
  RINDEX_VERSION: {
    found: 'the index there is of another version of the format',
    todo: 'use it with the release that made it',
  },
  RINDEX_LOCKSPACE: { found: 'the index there belongs to another lockspace', todo: CORRECT },
  RINDEX_OFFSET: {
    found: 'the offset is none of that index',
    todo: 'give one that sanlock client lookup shows',
  },
  RINDEX_DIFF: {
    found: 'the name and the offset do not belong together in that index',
    todo: 'give one of them alone',
  },
  EPERM: { found: 'the daemon gave it up', todo: LOG },
  ENOENT: { found: 'there is no such file, lockspace or lease', todo: CORRECT },
  ESRCH: { found: 'no registered process has that pid', todo: 'sanlock client status shows them' },
  EIO: { found: 'the device refused the operation', todo: PATH },
  ENXIO: { found: 'there is no device behind that path', todo: PATH },
  E2BIG: { found: 'that is more than fits', todo: 'ask for less at once' },
  EAGAIN: { found: 'others hold it shared, or the daemon is not ready yet', todo: AGAIN },
  ENOMEM: { found: 'the daemon has no memory left for it', todo: AGAIN },
  EACCES: { found: 'the user of the daemon may not open it', todo: 'give it to that user' },
  EBUSY: { found: 'another command is at work on it', todo: AGAIN },
  EEXIST: { found: 'this host has it already', todo: 'sanlock client status shows who' },
  ENODEV: {
    found: 'the device cannot be opened',
    todo: 'see that the path is there and the user of the daemon may open it',
  },
  ENOTDIR: { found: 'a part of the path is no directory', todo: 'correct the path' },
  EISDIR: { found: 'the path is a directory', todo: 'give a device or a file' },
  EINVAL: {
    found: 'an argument is missing or not valid',
    todo: 'sanlock --help shows what is wanted; offsets are multiples of 512 bytes',
  },
  ENFILE: { found: 'the machine has no file descriptor left', todo: AGAIN },
  EMFILE: { found: 'the daemon has no file descriptor left', todo: LOG },
  ENOTTY: { found: 'the process it was for has ended', todo: 'start it again' },
  ENOSPC: {
    found: 'the lockspace is not joined here, or is being lost',
    todo: 'sanlock client gets shows those joined; add it with sanlock client add_lockspace',
  },
  EROFS: { found: 'the device is read only', todo: 'make it writable' },
  ERANGE: { found: 'a number is outside its range', todo: 'sanlock --help shows the limits' },
  ENOLCK: { found: 'no lock is left', todo: AGAIN },
  ENOTEMPTY: { found: 'it is not empty', todo: 'remove what is in it' },
  ELOOP: { found: 'the path is a circle of links', todo: 'correct the path' },
  EUNATCH: { found: 'the daemon is not ready for it', todo: AGAIN },
  ENOCSI: { found: 'the lockspace has as many listeners as it can have', todo: 'end one' },
  EXFULL: { found: 'there is no room left', todo: 'remove what is not needed' },
  ELIBACC: { found: 'the state has a character that none has', todo: 'pass it on unchanged' },
  ELIBBAD: { found: 'the state is too long', todo: 'ask for fewer leases' },
  ELIBSCN: { found: 'the state cannot be read', todo: 'pass it on unchanged' },
  EMSGSIZE: { found: 'the answer was cut short', todo: AGAIN },
  EPROTONOSUPPORT: { found: 'the daemon speaks another protocol', todo: 'use its own sanlock' },
  EOPNOTSUPP: { found: 'the daemon does not know this command', todo: 'use its own sanlock' },
  ENOTCONN: { found: 'the daemon closed the connection before it answered', todo: LOG },
  ETIMEDOUT: { found: 'no answer came in time', todo: LOG },
  ECONNREFUSED: { found: 'no daemon listens there', todo: 'start it: sanlock daemon' },
  EALREADY: { found: 'it is as asked for already', todo: 'nothing is left to be done' },
  EINPROGRESS: {
    found: 'it is just being added or removed',
    todo: 'wait until sanlock client gets shows it without ADD and REM',
  },
  ESTALE: { found: 'the process it was for has ended', todo: 'start it again' },
  EUCLEAN: {
    found: 'a process that ended left it here as an orphan',
    todo: 'take it over (-O 1), or release it (sanlock client release -O 1)',
  },
  EREMOTEIO: { found: 'the device refused the operation', todo: PATH },
  ENOMEDIUM: { found: 'there is no medium in the device', todo: 'put one in' },
  ECANCELED: { found: 'it was given up', todo: AGAIN },
};

type Actions = Readonly<Record<string, Explanation>>;

const JOINED: Explanation = {
  found: 'the lockspace is joined already',
  todo: 'nothing is left to be done',
};
const NO_SUCH_LOCKSPACE: Explanation = {
  found: 'no such lockspace is joined here',
  todo: 'sanlock client gets shows those joined; name, path and offset have to be the same',
};
const DEVICE_END: Explanation = {
  found: 'the device ends before the end of that area',
  todo: 'give a smaller offset, or a larger device',
};
const NOT_HELD: Explanation = {
  found: 'the process does not hold that lease',
  todo: 'sanlock client status shows what it holds',
};

/** Where a number means something else to one command than to the others. */
const OF_ACTION: Readonly<Partial<Record<Code, Actions>>> = {
  ENOENT: {
    add_lockspace: NO_SUCH_LOCKSPACE,
    inq_lockspace: NO_SUCH_LOCKSPACE,
    rem_lockspace: NO_SUCH_LOCKSPACE,
    set_config: NO_SUCH_LOCKSPACE,
    set_event: NO_SUCH_LOCKSPACE,
    set_host: NO_SUCH_LOCKSPACE,
    gets: NO_SUCH_LOCKSPACE,
    host_status: NO_SUCH_LOCKSPACE,
    renewal: NO_SUCH_LOCKSPACE,
    convert: NOT_HELD,
    lookup: { found: 'the index has no such entry', todo: 'sanlock direct dump -f 1 shows it' },
  },
  EPERM: {
    release: NOT_HELD,
    add_lockspace: {
      found: 'it was removed, or its lease process or the daemon ended, before it was added',
      todo: AGAIN,
    },
  },
  EEXIST: { add_lockspace: JOINED },
  EBUSY: {
    shutdown: {
      found: 'the daemon is in use, and goes on',
      todo:
        'remove its lockspaces first (sanlock client rem_lockspace), or use -f 1; where leases of ' +
        'an earlier daemon are kept, sanlock client log_dump shows how to release them',
    },
    rem_lockspace: {
      found: 'the lockspace is in use',
      todo: 'release what is held in it (sanlock client status)',
    },
    add_lockspace: {
      found: 'something an earlier daemon left uses it, or may use it',
      todo: LOG,
    },
    set_event: { found: 'an earlier event is not out yet', todo: AGAIN },
  },
  EAGAIN: {
    add_lockspace: {
      found: 'the lockspace is being removed, or its users of an earlier daemon still run',
      todo: 'wait until they have ended; sanlock client log_dump names them',
    },
    gets: { found: 'the daemon has not read the host leases yet', todo: AGAIN },
    host_status: { found: 'the daemon has not read the host leases yet', todo: AGAIN },
    acquire: { found: 'other hosts hold it shared, or it is being released', todo: AGAIN },
    command: { found: 'other hosts hold it shared, or it is being released', todo: AGAIN },
    convert: { found: 'others hold it shared', todo: 'release it there, or try again' },
  },
  EINVAL: {
    add_lockspace: {
      found:
        'a name, a host id or a path is missing, the offset is no multiple of the area, ' +
        'or another lockspace here has that name or that place',
      todo: 'sanlock client gets shows those joined; -s wants NAME:HOST_ID:PATH:OFFSET',
    },
  },
  ENOSPC: {
    init: DEVICE_END,
    write: DEVICE_END,
    read: DEVICE_END,
    format: DEVICE_END,
    rebuild: DEVICE_END,
    read_leader: DEVICE_END,
  },
  EMSGSIZE: { init: DEVICE_END, write: DEVICE_END, read: DEVICE_END, read_leader: DEVICE_END },
};

/** The daemon could not be reached (spec 20 §1). */
const UNREACHED: Readonly<Partial<Record<Code, Explanation>>> = {
  ENOENT: { found: 'no sanlock daemon runs here', todo: 'start it: sanlock daemon' },
  ECONNREFUSED: { found: 'no sanlock daemon runs here any more', todo: 'start it: sanlock daemon' },
  EACCES: {
    found: 'only root and the group of the daemon may use its socket',
    todo: 'run it as root or as a member of that group (gname in sanlock.conf)',
  },
  EAGAIN: { found: 'the daemon has too many to serve', todo: AGAIN },
};

const UNNAMED: Explanation = { found: 'the daemon refused it', todo: LOG };

/** Always one: also for a number without a name. */
export function explanationOf(
  code: number,
  of: { readonly action: string; readonly unreached: boolean },
): Explanation {
  const name = codeName(code);
  if (!isCode(name)) return UNNAMED;
  if (of.unreached) return UNREACHED[name] ?? EXPLANATIONS[name];
  return OF_ACTION[name]?.[of.action] ?? EXPLANATIONS[name];
}

/** The number of that name, as 'LEADER_MAGIC' or 'EAGAIN'; undefined: sanlock has none. */
export function sanlockCodeOf(name: string): number | undefined {
  if (!isCode(name)) return undefined;
  return name in SANLOCK_CODES
    ? SANLOCK_CODES[name as keyof typeof SANLOCK_CODES]
    : -ERRNO[name as (typeof SOCKET_ERRORS)[number]];
}

function isCode(name: string): name is Code {
  return Object.hasOwn(EXPLANATIONS, name);
}
