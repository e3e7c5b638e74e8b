import assert from 'node:assert/strict';
import { test } from 'node:test';
import { concatBytes } from '../base/bytes.ts';
import { ERRNO } from '../base/errno.ts';
import { SECOND_MS } from '../base/units.ts';
import { decode, encode, zeroRecord } from '../codec/struct.ts';
import { missingMount } from '../guard/check/mounts.ts';
import { SimClock } from '../sim/kernel/clock.ts';
import { QUIET } from '../sim/kernel/log.ts';
import { SimPeer } from '../sim/kernel/peer.ts';
import { SM_CMD, SM_MAGIC, sanlkHost, sanlkLockspace, smHeader } from '../wire/sanlock/socket.ts';
import { GuardLockspace } from './guard-lockspace.ts';

const LEASES = '/srv/leases/libvirt';
const PATH = `${LEASES}/LS`;
const FSTAB = 'nas:/leases /srv/leases nfs4 _netdev 0 0';
const ROOT = '22 1 8:1 / / rw - ext4 /dev/sda1 rw';
const SHARE = '30 22 0:40 / /srv/leases rw - nfs4 nas:/leases rw';

/** A sanlock that answers an add and a question for hosts. */
class Sanlock {
  readonly clock = new SimClock();
  addResult = 0;
  /** null: none is joined. */
  joinedPath: string | null = null;
  generation = 1n;
  rejoined = 0;
  mountInfo = `${ROOT}\n${SHARE}`;
  /** How often the lockspace was to be made, where it is not there. */
  made = 0;
  readonly lockspace: GuardLockspace;

  constructor() {
    const sockets = {
      connect: (_path: string, _timeoutMs: number, answer: (opened: never) => void) => {
        const peer = new SimPeer((happen) => this.clock.after(0, happen));
        const connection = peer.connection(3, 1);
        peer.onReceived = () => {
          const asked = decode(smHeader, Uint8Array.from(peer.received));
          this.clock.after(1, () => peer.send(this.#answer(asked.cmd)));
        };
        answer({ ok: true, connection } as never);
      },
    };
    const ensureLockspace = (answer: (code: number) => void) => {
      this.made++;
      answer(0);
    };
    this.lockspace = new GuardLockspace({
      ...{
        clock: this.clock,
        log: QUIET,
        sanlock: { sockets, clock: this.clock, socketPath: '/s' },
      },
      ...{ files: { ensureLockspace }, lockspace: 'LS', leaseDir: LEASES },
      ...{ hostId: 1, ioTimeoutS: null },
      whyNotMounted: () =>
        missingMount(LEASES, { fstab: FSTAB, mountInfo: this.mountInfo })?.source ?? null,
    });
    this.lockspace.onRejoined(() => this.rejoined++);
  }

  pass(seconds: number): void {
    this.clock.runUntil(this.clock.nowMs() + seconds * SECOND_MS);
  }

  #answer(cmd: number): Uint8Array {
    const isAdd = cmd === SM_CMD.ADD_LOCKSPACE;
    if (isAdd && this.addResult === 0) this.joinedPath = PATH;
    const body = isAdd ? new Uint8Array(0) : this.#listed(cmd);
    const header = encode(smHeader, {
      ...{ ...zeroRecord(smHeader), magic: SM_MAGIC, cmd, length: smHeader.size + body.length },
      ...{ data: isAdd ? this.addResult : 0, data2: body.length === 0 ? 0 : 1 },
    });
    return concatBytes([header, body]);
  }

  #listed(cmd: number): Uint8Array {
    if (cmd === SM_CMD.GET_HOSTS) {
      return encode(sanlkHost, {
        ...{ ...zeroRecord(sanlkHost), hostId: 1n },
        generation: this.generation,
      });
    }
    const { joinedPath: path } = this;
    if (path === null) return new Uint8Array(0);
    return encode(sanlkLockspace, { ...zeroRecord(sanlkLockspace), name: 'LS', hostId: 1n, path });
  }
}

test('a generation that is another than before is told, whoever has joined', () => {
  const sanlock = new Sanlock();
  sanlock.lockspace.begin();
  sanlock.pass(1);
  assert.equal(sanlock.lockspace.code, 0);
  sanlock.pass(20);
  assert.equal(sanlock.lockspace.code, 0, 'there already');
  assert.equal(sanlock.rejoined, 0);
  sanlock.generation = 2n; // it was killed, and libvirt's plugin was faster
  sanlock.pass(10);
  assert.equal(sanlock.rejoined, 1);
  sanlock.pass(20);
  assert.equal(sanlock.rejoined, 1);
});

test('a lockspace of that name in another place is not that of the guests', () => {
  const sanlock = new Sanlock();
  sanlock.joinedPath = '/others/LS';
  sanlock.addResult = -22;
  sanlock.lockspace.begin();
  sanlock.pass(1);
  assert.equal(sanlock.lockspace.code, -22);
});

test('no lockspace is made where its share is not mounted yet', () => {
  const sanlock = new Sanlock();
  sanlock.mountInfo = ROOT;
  sanlock.lockspace.begin();
  sanlock.pass(60);
  assert.equal(sanlock.lockspace.code, -ERRNO.ENOENT);
  assert.equal(sanlock.made, 0);
  sanlock.mountInfo = `${ROOT}\n${SHARE}`;
  sanlock.pass(60);
  assert.equal(sanlock.lockspace.code, 0, 'it is made, and joined, when the share is there');
  assert.ok(sanlock.made > 0);
});

test('not all hooks wait for a join that takes long', () => {
  const sanlock = new Sanlock();
  let settled = 0;
  for (let n = 0; n < 1001; n++) sanlock.lockspace.whenSettled(() => settled++);
  assert.equal(settled, 1);
  sanlock.lockspace.begin();
  sanlock.pass(1);
  assert.equal(settled, 1001);
});
