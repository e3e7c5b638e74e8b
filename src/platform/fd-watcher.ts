import koffi from 'koffi';
import { checked, epollControl, epollCreate, epollWait } from './system-calls.ts';

type PollFunction = (
  fd: number,
  wanted: { readonly readable: boolean },
  ready: (status: number) => void,
) => { close(): void };

/** What a watcher may wait for; 0 is nothing, not even the end of the peer. */
export const READABLE = 0x1; // EPOLLIN
export const WRITABLE = 0x4; // EPOLLOUT
const EPOLL_CLOEXEC = 0x80000;
const CONTROL = { add: 1, remove: 2, modify: 3 } as const;
const MAX_EVENTS = 1024; // in one turn, as libuv; what is left over is there in the next one
/** `struct epoll_event` is packed on x86-64 only: the mask, then 64 bits of ours. */
const EVENT_WORDS = process.arch === 'x64' ? 3 : 4;
const DATA_WORD = EVENT_WORDS - 2;
const WORD = 0x100000000;

/**
 * All watched descriptors of this process. libuv waits for one descriptor, the set, and one turn
 * serves all that is ready: a wait of its own in libuv costs each descriptor several times as much.
 */
class WatchedSet {
  readonly #fd = checked('epoll_create1', epollCreate(EPOLL_CLOEXEC));
  readonly #events = new Uint32Array(MAX_EVENTS * EVENT_WORDS);
  readonly #change = new Uint32Array(EVENT_WORDS);
  /** By a number that is never used again: the kernel may name one that was closed meanwhile. */
  readonly #watchers = new Map<number, FdWatcher>();
  #last = 0;
  /** Referred to for as long as there is something to wait for (spec 70 §2.4). */
  #handle: { close(): void } | null = null;

  get watchers(): Iterable<FdWatcher> {
    return this.#watchers.values();
  }

  add(watcher: FdWatcher): number {
    const id = ++this.#last;
    this.#watchers.set(id, watcher);
    // koffi 3.3.4 calls back with (status, events), its declaration says (events).
    const poll = koffi.node.poll as unknown as PollFunction;
    this.#handle ??= poll(this.#fd, { readable: true }, () => this.#serveAll());
    return id;
  }

  remove(id: number): void {
    this.#watchers.delete(id);
    if (this.#watchers.size > 0) return;
    this.#handle?.close(); // or a program that waits for nothing would never end
    this.#handle = null;
  }

  change(how: keyof typeof CONTROL, fd: number, of: { id: number; interest: number }): void {
    const change = this.#change;
    change[0] = of.interest;
    change[DATA_WORD] = of.id;
    change[DATA_WORD + 1] = Math.floor(of.id / WORD);
    checked('epoll_ctl', epollControl(this.#fd, CONTROL[how], fd, change));
  }

  /** koffi keeps what is thrown to itself: the daemon would go on, deaf to all it watches. */
  #serveAll(): void {
    try {
      this.#turn();
    } catch (error) {
      process.nextTick(() => {
        throw error;
      });
    }
  }

  #turn(): void {
    const events = this.#events;
    const count = epollWait(this.#fd, events, MAX_EVENTS, 0);
    for (let at = 0; at < count * EVENT_WORDS; at += EVENT_WORDS) {
      const low = events[at + DATA_WORD] ?? 0;
      const high = events[at + DATA_WORD + 1] ?? 0;
      this.#watchers.get(high * WORD + low)?.serve(events[at] ?? 0);
    }
  }
}

/** Made at its first use: a program without daemons' sockets needs none. */
let set: WatchedSet | null = null;

/**
 * Calls back while a descriptor is ready. Close it before the descriptor: a copy that another
 * process holds would stay in the kernel's set.
 */
export class FdWatcher {
  readonly #fd: number;
  readonly #ready: (events: number) => void;
  readonly #id: number;
  readonly #set: WatchedSet;
  #interest = 0;
  #closed = false;

  /**
   * @param ready `events`: READABLE and WRITABLE as they are, and others of epoll(7) where the peer
   *   is gone, which the next read or write tells
   * @throws SystemCallError where the kernel watches no more, or no such descriptor
   */
  constructor(fd: number, ready: (events: number) => void, interest = READABLE) {
    set ??= new WatchedSet();
    this.#set = set;
    this.#fd = fd;
    this.#ready = ready;
    this.#id = set.add(this);
    try {
      this.want(interest);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Only for tests, which end their process by having nothing left to wait for. */
  static closeAll(): void {
    for (const watcher of [...(set?.watchers ?? [])]) watcher.close();
  }

  /** @param interest READABLE and WRITABLE, or 0 */
  want(interest: number): void {
    if (this.#closed || interest === this.#interest) return;
    const how = this.#interest === 0 ? 'add' : interest === 0 ? 'remove' : 'modify';
    this.#set.change(how, this.#fd, { id: this.#id, interest });
    this.#interest = interest;
  }

  close(): void {
    if (this.#closed) return;
    if (this.#interest !== 0) this.#forget();
    this.#closed = true;
    this.#set.remove(this.#id);
  }

  /** The descriptor is ready. */
  serve(events: number): void {
    if (!this.#closed) this.#ready(events);
  }

  #forget(): void {
    try {
      this.want(0);
    } catch {
      // It was closed before: the kernel has forgotten it already.
    }
  }
}
