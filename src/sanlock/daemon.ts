import { unreachable } from '../base/assert.ts';
import { SM_HEADER_BYTES, SM_MAGIC, SM_PROTO } from '../wire/sanlock/socket.ts';
import { closed, opened } from './clients.ts';
import { beginEnd, serve, serveHeld } from './dispatch.ts';
import { type Effect, log, send } from './effects.ts';
import type { FrontEvent } from './events.ts';
import type { Front } from './front.ts';
import { listenerSent, undelivered } from './host-events.ts';
import { keepsLeases } from './kept-leases.ts';
import { loopLagged } from './lag.ts';
import { leaseEnded, leaseLost, leaseSent } from './lease-processes.ts';
import { watchdogSent } from './lockspaces.ts';
import { isUnasked } from './lost-lockspaces.ts';
import { replyBytes } from './request.ts';
import { forgetEmpty, resumedWatchdogSent, resumeSurvivors } from './resuming.ts';
import { endForSuccessor } from './successor.ts';
import { holderEnded, restore } from './survivors-restore.ts';
import { tick } from './tick.ts';
import type { UserProcess } from './user-process.ts';

/** One event in, what to do out. Everything in one event happens at one moment. */
export function stepFront(
  front: Front,
  event: FrontEvent,
  nowMs: number,
  bootMs: number,
): readonly Effect[] {
  front.nowMs = nowMs;
  front.bootMs = bootMs;
  front.effects = [];
  apply(front, event);
  if (front.heldRequests.length > 0) serveHeld(front);
  if (front.ending && isEmpty(front)) exit(front);
  else endForSuccessor(front);
  return front.effects;
}

function apply(front: Front, event: FrontEvent): void {
  switch (event.kind) {
    case 'started':
      front.startedMs = front.nowMs;
      restore(front, event, () => resumeSurvivors(front));
      return;
    case 'opened':
      opened(front, event);
      return;
    case 'request':
      request(front, event);
      return;
    case 'listenerSent':
      listenerSent(front, event.connection, event.bytes);
      return;
    case 'undelivered':
      undelivered(front, event.connection, event.lockspace);
      return;
    case 'closed':
      closed(front, event.connection);
      return;
    case 'identityKnown':
    case 'processFound':
    case 'leaseEndFound':
      answered(front, event);
      return;
    case 'processEnded':
      processEnded(front, event.process);
      return;
    case 'leaseStarted':
      front.leaseProcesses.set(event.lease, event.process);
      goOn(front.whenStarted, event.lease)?.();
      return;
    case 'leaseSent':
      leaseSent(front, event.lease, event.message);
      return;
    case 'leaseLost':
      leaseLost(front, event.lease);
      return;
    case 'leaseEnded':
      leaseEnded(front, event.lease);
      return;
    case 'watchdog':
      if (resumedWatchdogSent(front, event.lockspace, event.event)) return;
      watchdogSent(front, event.lockspace, event.event);
      return;
    case 'lagged':
      loopLagged(front, event.lagMs);
      return;
    case 'tick':
      tick(front);
      return;
    case 'terminate':
      terminate(front);
      return;
    default:
      unreachable(event);
  }
}

/** What a program found out for the front. */
function answered(
  front: Front,
  event: Extract<FrontEvent, { kind: 'identityKnown' | 'processFound' | 'leaseEndFound' }>,
): void {
  switch (event.kind) {
    case 'identityKnown':
      goOn(front.whenKnown, event.wait)?.();
      return;
    case 'processFound':
      goOn(front.whenFound, event.search)?.(event.process);
      return;
    case 'leaseEndFound':
      goOn(front.whenEndFound, event.search)?.(event.end);
      return;
    default:
      unreachable(event);
  }
}

/** A waiter goes on once. */
function goOn<T>(waiting: Map<number, T>, number: number): T | undefined {
  const found = waiting.get(number);
  waiting.delete(number);
  return found;
}

function request(front: Front, event: Extract<FrontEvent, { kind: 'request' }>): void {
  const client = front.clients.get(event.connection);
  if (client !== undefined) serve(front, { client, header: event.header, body: event.body });
}

function processEnded(front: Front, process: UserProcess): void {
  holderEnded(front, process);
  forgetEmpty(front);
  resumeSurvivors(front);
}

/** The daemon ends only when no lockspace is left (spec 20 §15). */
function terminate(front: Front): void {
  if (keepsLeases(front)) return;
  const isUnused = front.lockspaces.every((space) => isUnasked(front, space));
  if (isUnused && front.survivors.length === 0) beginEnd(front);
  else log(front, 'debug', 'daemon.stillUsed', { lockspaces: front.lockspaces.length });
}

function isEmpty({ lockspaces, survivors }: Front): boolean {
  return lockspaces.length === 0 && survivors.length === 0;
}

/** The answer to a waited-for shutdown is a header of zeros (spec 20 §4). */
function exit(front: Front): void {
  const zero = { cmd: 0, cmdFlags: 0, seq: 0, data: 0, data2: 0 };
  const header = { ...zero, magic: SM_MAGIC, version: SM_PROTO, length: SM_HEADER_BYTES };
  for (const connection of front.shutdownWaiters) {
    send(front, connection, replyBytes(header, { result: 0 }));
    front.effects.push({ kind: 'end', connection });
  }
  front.effects.push({ kind: 'exit', status: 0 });
}
