import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MIB } from '../base/units.ts';
import { decode } from '../codec/struct.ts';
import { dblock } from '../format/dblock.ts';
import { geometryOf, hasLvb, LVB_SECTOR } from '../format/geometry.ts';
import {
  acquaint,
  HARNESS_PLACE,
  type HarnessHost,
  ProcedureHarness,
} from '../sim/procedure-harness.ts';
import { commandSteps } from './commands.ts';
import { type Held, newHolds } from './holds.ts';
import type { HeldLease, LeaseCommand, LeaseCommandResult } from './messages.ts';

/** The commands of one host's lease process, without the process. */
class Commands {
  readonly holds = newHolds();
  hasEnded = false;
  readonly #host: HarnessHost;

  constructor(host: HarnessHost) {
    this.#host = host;
  }

  run(command: LeaseCommand): LeaseCommandResult {
    const member = { ...this.#host.member(), ended: () => this.hasEnded };
    const held = 'hold' in command ? (this.holds.byNumber.get(command.hold) ?? null) : null;
    const steps = commandSteps(command, {
      ...{ member, deviceSectorSize: null, guesses: new Map(), holds: this.holds, held },
      ...{ nowMs: 0, wallAheadMs: 0, random: () => 0.5 },
    });
    return this.#host.run(steps);
  }

  acquire(shared: boolean): LeaseCommandResult {
    const { lockspaceName } = this.#host.member();
    const { path, offset, resourceName } = HARNESS_PLACE;
    const how = { shared, ownerNowait: true, wantedLver: null, newNumHosts: null, readLvb: false };
    const area = { path, offset };
    return this.run({ op: 'acquire', area, name: { lockspaceName, resourceName }, ...how });
  }

  recover(lver: bigint): LeaseCommandResult {
    const { lockspaceName } = this.#host.member();
    const { path, offset, resourceName } = HARNESS_PLACE;
    const known = { mode: 'ex', lver, begun: 'nothing' } as const;
    const name = { lockspaceName, resourceName };
    return this.run({ op: 'recover', area: { path, offset }, name, known, readLvb: true });
  }

  convert(hold: number, toShared: boolean): LeaseCommandResult {
    return this.run({ op: 'convert', hold, toShared, ownerNowait: true, lvb: null });
  }

  held(result: LeaseCommandResult): { readonly lease: HeldLease; readonly held: Held } {
    assert.ok(result.ok && (result.op === 'acquire' || result.op === 'convert'));
    const held = this.holds.byNumber.get(result.hold.number);
    assert.ok(held !== undefined, 'it is kept');
    return { lease: result.hold, held };
  }
}

function code(result: LeaseCommandResult): string {
  return result.ok ? 'ok' : `${result.error.errno ?? result.error.code}`;
}

test('a grant that comes after own expiry is none, a step down is one', () => {
  const commands = new Commands(new ProcedureHarness().join(1));
  commands.hasEnded = true;
  assert.equal(code(commands.acquire(false)), '28');
  assert.equal(commands.holds.byNumber.size, 0);
  commands.hasEnded = false;
  const { lease } = commands.held(commands.acquire(false));
  commands.hasEnded = true;
  assert.equal(commands.held(commands.convert(lease.number, true)).lease.shared, true);
  assert.equal(code(commands.convert(lease.number, false)), '28');
});

test('what is found to be held is kept under a number of its own, with its value block', () => {
  const harness = new ProcedureHarness();
  const host = harness.join(1);
  const before = new Commands(host);
  const { lease } = before.held(before.acquire(false));
  harness.disks.resource.fill(9, LVB_SECTOR * 512, (LVB_SECTOR + 1) * 512);
  const commands = new Commands(host);
  commands.hasEnded = true;
  assert.equal(code(commands.recover(lease.lver)), '28', 'after own expiry nothing is held');
  assert.equal(commands.holds.byNumber.size, 0);
  commands.hasEnded = false;
  const found = commands.recover(lease.lver);
  assert.ok(found.ok && found.op === 'recover' && found.hold !== null);
  assert.deepEqual(found.hold, lease);
  assert.deepEqual(found.lvb, new Uint8Array(512).fill(9));
  assert.ok(commands.holds.byNumber.has(found.hold.number));
});

test('where an area has no room for a value block, none is read of a lease that is found', () => {
  const geometry = geometryOf(4096, MIB);
  assert.ok(geometry !== null && !hasLvb(geometry));
  const host = new ProcedureHarness(10, 10 * MIB, geometry).join(1);
  const before = new Commands(host);
  const { lease } = before.held(before.acquire(false));
  const found = new Commands(host).recover(lease.lver);
  assert.ok(found.ok && found.op === 'recover' && found.hold !== null);
  assert.equal(found.lvb, null);
});

test('a hold is the one last written, also after a step up that was refused', () => {
  const harness = new ProcedureHarness();
  const [one, two] = [harness.join(1), harness.join(2)];
  acquaint([one, two]);
  const commands = new Commands(one);
  const { lease, held } = commands.held(commands.acquire(true));
  assert.equal(code(new Commands(two).acquire(true)), 'ok');
  const before = held.hold.dblock;
  assert.equal(code(commands.convert(lease.number, false)), '11');
  const onDisk = decode(dblock, harness.disks.resource, 2 * 512);
  assert.notDeepEqual(held.hold.dblock, before);
  assert.equal(held.hold.dblock.mbal, onDisk.mbal);
  assert.equal(held.hold.shared, true);
});
