import koffi from 'koffi';
import { ERRNO } from '../base/errno.ts';

/**
 * Every foreign function of holdfast, declared once (spec 70 §5). Variadic C functions get a fixed
 * signature. `koffi.errno()` is only right directly after the call: use `lastErrno`.
 */
const libc = koffi.load('libc.so.6');

/** The level of options and ancillary data that every kind of socket has. */
export const SOL_SOCKET = 1;

type LongCall = (...args: readonly (number | bigint)[]) => number | bigint;

export const rawSyscall: LongCall = libc.func(
  'long syscall(long number, long a, long b, long c, long d, long e)',
);
export const fcntlPointer: (fd: number, command: number, argument: Uint8Array) => number =
  libc.func('int fcntl(int fd, int command, void *argument)');
export const fcntlNumber: (fd: number, command: number, argument: number) => number = libc.func(
  'int fcntl(int fd, int command, int argument)',
);
export const ioctlPointer: (fd: number, request: number, argument: Uint8Array) => number =
  libc.func('int ioctl(int fd, ulong request, void *argument)');
const ioctlOnThread = libc.func('ioctl', 'int', ['int', 'ulong', 'void *']);
export const eventfd: (initial: number, flags: number) => number = libc.func(
  'int eventfd(uint initial, int flags)',
);
export const readInto: (fd: number, bytes: Uint8Array, length: number) => number = libc.func(
  'long read(int fd, void *bytes, size_t length)',
);
export const mkfifo: (path: string, mode: number) => number = libc.func(
  'int mkfifo(const char *path, uint mode)',
);
export const closeFd: (fd: number) => number = libc.func('int close(int fd)');
export const getsockopt: (
  fd: number,
  level: number,
  option: number,
  value: Uint8Array,
  length: Uint8Array,
) => number = libc.func('int getsockopt(int fd, int level, int option, void *value, void *length)');
export const socket: (domain: number, type: number, protocol: number) => number = libc.func(
  'int socket(int domain, int type, int protocol)',
);
export const bind: (fd: number, address: Uint8Array, length: number) => number = libc.func(
  'int bind(int fd, void *address, uint length)',
);
export const connectTo: (fd: number, address: Uint8Array, length: number) => number = libc.func(
  'int connect(int fd, void *address, uint length)',
);
export const listenOn: (fd: number, backlog: number) => number = libc.func(
  'int listen(int fd, int backlog)',
);
export const getsockname: (fd: number, address: Uint8Array, length: Uint8Array) => number =
  libc.func('int getsockname(int fd, void *address, void *length)');
export const shutdown: (fd: number, how: number) => number = libc.func(
  'int shutdown(int fd, int how)',
);
export const flock: (fd: number, operation: number) => number = libc.func(
  'int flock(int fd, int operation)',
);
export const sendto: (
  fd: number,
  bytes: Uint8Array,
  length: number,
  flags: number,
  address: Uint8Array,
  addressLength: number,
) => number = libc.func(
  'long sendto(int fd, void *bytes, size_t length, int flags, void *address, uint addressLength)',
);
// Without names: sanlock loads its daemon as a program of its own, and koffi knows a name once.
const iovec = koffi.struct({ base: 'void *', length: 'size_t' });
const msghdr = koffi.struct({
  name: 'void *',
  nameLength: 'uint',
  iov: koffi.pointer(iovec),
  iovLength: 'size_t',
  control: 'void *',
  controlLength: 'size_t',
  flags: 'int',
});
export const sendmsg: (
  fd: number,
  message: {
    readonly name: Uint8Array;
    readonly nameLength: number;
    readonly iov: readonly { readonly base: Uint8Array; readonly length: number }[];
    readonly iovLength: number;
    readonly control: Uint8Array;
    readonly controlLength: number;
    readonly flags: number;
  },
  flags: number,
) => number = libc.func('sendmsg', 'long', ['int', koffi.pointer(msghdr), 'int']);
export const send: (fd: number, bytes: Uint8Array, length: number, flags: number) => number =
  libc.func('long send(int fd, void *bytes, size_t length, int flags)');
export const recv: (fd: number, bytes: Uint8Array, length: number, flags: number) => number =
  libc.func('long recv(int fd, void *bytes, size_t length, int flags)');
/** Without an address of the peer: a unix socket's has none. */
export const accept4: (fd: number, address: null, length: null, flags: number) => number =
  libc.func('int accept4(int fd, void *address, void *length, int flags)');
export const socketpair: (
  domain: number,
  type: number,
  protocol: number,
  fds: Int32Array,
) => number = libc.func('int socketpair(int domain, int type, int protocol, void *fds)');
export const epollCreate: (flags: number) => number = libc.func('int epoll_create1(int flags)');
export const epollControl: (fd: number, how: number, of: number, event: Uint32Array) => number =
  libc.func('int epoll_ctl(int fd, int how, int of, void *event)');
export const epollWait: (
  fd: number,
  events: Uint32Array,
  most: number,
  timeoutMs: number,
) => number = libc.func('int epoll_wait(int fd, void *events, int most, int timeoutMs)');
/** `time`: two 64-bit words, seconds and nanoseconds. */
export const clockGettime: (clock: number, time: Uint8Array) => number = libc.func(
  'int clock_gettime(int clock, void *time)',
);
export const setrlimit: (resource: number, limits: Uint8Array) => number = libc.func(
  'int setrlimit(int resource, void *limits)',
);
export const schedSetscheduler: (tid: number, policy: number, param: Uint8Array) => number =
  libc.func('int sched_setscheduler(int tid, int policy, void *param)');
/** The next three are of all threads of the process. */
export const initgroups: (user: string, group: number) => number = libc.func(
  'int initgroups(const char *user, uint group)',
);
export const setgid: (gid: number) => number = libc.func('int setgid(uint gid)');
export const setuid: (uid: number) => number = libc.func('int setuid(uint uid)');
/** Its first field points to the name. */
export const getpwuid: (uid: number) => unknown = libc.func('void *getpwuid(uint uid)');
export const prctl: (option: number, a: number, b: number, c: number, d: number) => number =
  libc.func('int prctl(int option, ulong a, ulong b, ulong c, ulong d)');
export const mallopt: (parameter: number, value: number) => number = libc.func(
  'int mallopt(int parameter, int value)',
);
/** Returns every whole free page of malloc's heap to the system, but for those that are locked. */
export const mallocTrim: (keptAtEnd: number) => number = libc.func(
  'int malloc_trim(size_t keptAtEnd)',
);
/** Both lists end with null. Returns an errno, or 0. */
export const posixSpawn: (
  pid: Int32Array,
  file: string,
  actions: Uint8Array,
  attributes: Uint8Array,
  words: readonly (string | null)[],
  environment: readonly (string | null)[],
) => number = libc.func(
  'int posix_spawnp(void *pid, const char *file, void *actions, void *attributes, const char **words, const char **environment)',
);
type SpawnCall = (of: Uint8Array) => number;
export const spawnActionsInit: SpawnCall = libc.func(
  'int posix_spawn_file_actions_init(void *actions)',
);
export const spawnActionsDestroy: SpawnCall = libc.func(
  'int posix_spawn_file_actions_destroy(void *actions)',
);
export const spawnActionsDup2: (actions: Uint8Array, fd: number, as: number) => number = libc.func(
  'int posix_spawn_file_actions_adddup2(void *actions, int fd, int as)',
);
export const spawnAttributesInit: SpawnCall = libc.func(
  'int posix_spawnattr_init(void *attributes)',
);
export const spawnAttributesDestroy: SpawnCall = libc.func(
  'int posix_spawnattr_destroy(void *attributes)',
);
export const spawnAttributesFlags: (attributes: Uint8Array, flags: number) => number = libc.func(
  'int posix_spawnattr_setflags(void *attributes, short flags)',
);
/** `signals`: a bit for each, that of signal 1 first. */
export const spawnAttributesDefault: (attributes: Uint8Array, signals: Uint8Array) => number =
  libc.func('int posix_spawnattr_setsigdefault(void *attributes, void *signals)');
/** 0: with WNOHANG, it has not ended. */
export const waitpid: (pid: number, status: Int32Array, options: number) => number = libc.func(
  'int waitpid(int pid, void *status, int options)',
);
/** Leaves at once: `process.exit` joins the thread pool, which never returns on a hung device. */
export const exitNow: (status: number) => void = libc.func('void _exit(int status)');

const posixMemalign = libc.func(
  'int posix_memalign(_Out_ void **memory, size_t alignment, size_t bytes)',
);

export function lastErrno(): number {
  return koffi.errno();
}

/**
 * Page-aligned memory outside the collector's reach; never freed, because I/O may still target it.
 */
export function allocateAligned(length: number): { bytes: Uint8Array; address: number } | null {
  const out: [unknown] = [null];
  if (posixMemalign(out, 4096, length) !== 0) return null;
  const bytes = new Uint8Array(koffi.view(out[0], length));
  bytes.fill(0); // touches every page once, so that no I/O meets a page fault
  return { bytes, address: Number(koffi.address(out[0])) };
}

/** Memory that the kernel or libc has mapped, for as long as it is. */
export function viewMemory(address: bigint, length: number): ArrayBuffer {
  return koffi.view(address, length);
}

const mmap = libc.func(
  'void *mmap(void *address, size_t length, int protection, int flags, int fd, long offset)',
);
const PROT_READ = 1;
const MAP_SHARED = 1;

/** Maps a part of a file for reading, until the process ends. A failure is not reported. */
export function mapFile(fd: number, offset: number, length: number): void {
  mmap(null, length, PROT_READ, MAP_SHARED, fd, offset);
}

const MADVISE = process.arch === 'arm64' ? 233 : 28;
const MADV_DONTNEED = 4;

/** Refused for locked memory, which then stays as it is. */
export function discardPages(memory: { bytes: Uint8Array; address: number }): void {
  rawSyscall(MADVISE, memory.address, memory.bytes.length, MADV_DONTNEED, 0, 0);
}

export class SystemCallError extends Error {
  override readonly name = 'SystemCallError';
  readonly call: string;
  readonly errno: number;
  constructor(call: string, errno: number) {
    super(`${call} failed with errno ${errno}`);
    this.call = call;
    this.errno = errno;
  }
}

/** The call runs on a thread; `argument` is the kernel's until it is answered, with 0 or the errno. */
export function ioctlLater(
  fd: number,
  request: number,
  argument: Uint8Array,
  answer: (errno: number) => void,
): void {
  ioctlOnThread.async(fd, request, argument, (error: unknown, result: number) => {
    if (error !== null) answer(ERRNO.EIO);
    else answer(result < 0 ? lastErrno() : 0); // of the call just answered, not of its thread
  });
}

/** Throws when `result` is negative; call it directly around the foreign call. */
export function checked(call: string, result: number): number {
  if (result < 0) throw new SystemCallError(call, lastErrno());
  return result;
}
