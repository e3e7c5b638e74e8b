import { median } from './statistics.ts';
import type { SystemCall } from './trace.ts';

/**
 * The way of a request, read from the system calls of the three processes: client, front, lease
 * process. What a thread does between two calls is its own work; a message ends with the next
 * return from a wait on the other side. Nothing here knows how the two processes are connected.
 */
export const HOPS = [
  'client sends → front wakes',
  'front: decides, sends',
  '→ lease process wakes',
  'lease process: computes',
  'device: calls',
  'device: waits',
  'lease process → front wakes',
  'front: decides, answers',
  'front → client wakes',
  'whole, traced',
] as const;
export type Hop = (typeof HOPS)[number];
type Way = Partial<Record<Hop, number>>;

export interface Traces {
  readonly client: readonly SystemCall[];
  readonly front: readonly SystemCall[];
  readonly leaseProcess: readonly SystemCall[];
}

const SEND = /^(write|writev|sendto|sendmsg|sendmmsg)$/;
const RECEIVE = /^(read|readv|recvfrom|recvmsg|recvmmsg)$/;
const WAIT = /^(epoll_p?wait2?|p?poll|p?select6?|io_p?getevents)$/;
const DEVICE = /^(io_submit|io_uring_enter|p(read|write)(64|v|v2)|fdatasync|fsync)$/;
const STDERR = 2;

interface Request {
  readonly startUs: number;
  /** When its answer has come. */
  endUs: number;
  /** And when its connection is closed, where it had its own. */
  closedUs: number;
}

/** Each request of the client, from its first call on. */
export function requestsOf(client: readonly SystemCall[]): readonly Request[] {
  const requests: Request[] = [];
  let startUs: number | null = null;
  for (const { name, startUs: callUs, endUs } of client) {
    const last = requests.at(-1);
    if (/^(socket|connect|sendto)$/.test(name)) startUs ??= callUs;
    else if (name === 'recvfrom' && startUs !== null) {
      requests.push({ startUs, endUs, closedUs: endUs });
      startUs = null;
    } else if (name === 'recvfrom' && last !== undefined) {
      last.endUs = endUs; // the body of the answer
      last.closedUs = endUs;
    } else if (name === 'close' && last !== undefined) last.closedUs = endUs;
  }
  return requests;
}

/** Medians over the requests; a hop that none of them made is absent. */
export function medianWay(requests: readonly Request[], traces: Traces): Way {
  const ways = requests.map((request) => wayOf(request, traces)).filter((way) => way !== null);
  const found: Way = {};
  for (const hop of HOPS) {
    const values = ways.map((way) => way[hop]).filter((value) => value !== undefined);
    if (values.length * 2 > ways.length) found[hop] = median(values);
  }
  return found;
}

function wayOf({ startUs, endUs, closedUs }: Request, traces: Traces): Way | null {
  const front = within(traces.front, startUs, endUs);
  const sends = front.filter(isSend);
  const answer = sends.at(-1);
  const wokeUs = front.find((call) => WAIT.test(call.name) && call.endUs > startUs)?.endUs;
  if (answer === undefined || wokeUs === undefined || wokeUs > answer.startUs) return null;
  const ends: Way = {
    'client sends → front wakes': wokeUs - startUs,
    'front → client wakes': endUs - answer.startUs,
    'whole, traced': closedUs - startUs,
  };
  const order = sends.find((call) => call.startUs > wokeUs && call.fd !== answer.fd);
  const lease = order === undefined ? null : leaseWay(order, answer, traces);
  if (order === undefined || lease === null) {
    return { ...ends, 'front: decides, answers': answer.startUs - wokeUs };
  }
  const backUs = lastWait(front, answer.startUs) ?? answer.startUs;
  return {
    ...ends,
    ...lease.way,
    'front: decides, sends': order.startUs - wokeUs,
    'lease process → front wakes': Math.max(0, backUs - lease.answeredUs),
    'front: decides, answers': answer.startUs - backUs,
  };
}

/** From the front's order until the lease process sends; null: it took no part. */
function leaseWay(order: SystemCall, answer: SystemCall, { leaseProcess }: Traces) {
  const calls = within(leaseProcess, order.startUs, answer.startUs);
  const reply = calls.filter(isSend).at(-1);
  if (reply === undefined) return null;
  const read = calls.find((call) => RECEIVE.test(call.name) && call.fd === reply.fd);
  const wokeUs = lastWait(calls, read?.startUs ?? reply.startUs) ?? order.startUs;
  const work = calls.filter((call) => call.startUs >= wokeUs && call.endUs <= reply.startUs);
  const took = (kind: RegExp) =>
    work.filter(({ name }) => kind.test(name)).reduce((sum, c) => sum + c.endUs - c.startUs, 0);
  const [callsUs, waitsUs] = [took(DEVICE), took(WAIT)];
  const way: Way = {
    '→ lease process wakes': wokeUs - order.startUs,
    'lease process: computes': reply.startUs - wokeUs - callsUs - waitsUs,
    'device: calls': callsUs,
    'device: waits': waitsUs,
  };
  return { way, answeredUs: reply.startUs };
}

function isSend({ name, fd }: SystemCall): boolean {
  return SEND.test(name) && fd !== null && fd > STDERR;
}

/** When the last wait before `untilUs` returned. */
function lastWait(calls: readonly SystemCall[], untilUs: number): number | null {
  const waits = calls.filter(({ name, endUs }) => WAIT.test(name) && endUs <= untilUs);
  return waits.at(-1)?.endUs ?? null;
}

/** Calls that end after `fromUs` and begin before `untilUs`; `calls` are sorted by start. */
function within(calls: readonly SystemCall[], fromUs: number, untilUs: number) {
  return calls.filter(({ startUs, endUs }) => endUs > fromUs && startUs < untilUs);
}
