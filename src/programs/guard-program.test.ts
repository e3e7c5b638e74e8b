import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ok } from '../base/result.ts';
import { SECOND_MS } from '../base/units.ts';
import { leasesOf, type Naming } from '../guard/lease-names.ts';
import { guestXml } from '../guard/testing/guard-harness.ts';
import type { BoundProcess } from '../ports/processes.ts';
import type { Connection } from '../ports/sockets.ts';
import { SimClock } from '../sim/kernel/clock.ts';
import { QUIET } from '../sim/kernel/log.ts';
import { SimPeer } from '../sim/kernel/peer.ts';
import type { GuardLeases } from './guard-leases.ts';
import { type GuardPorts, GuardProgram } from './guard-program.ts';

const WEB = '6f1c1d1e-27a1-4b52-a1e7-0d2b9d8a4f10';
const NAMING: Naming = {
  network: 'uri',
  clusters: new Map(),
  readonlyIsShared: false,
  isBesidePlugin: false,
};

const KEEPER: BoundProcess = {
  ...{ pid: 77, identity: '77', hasEnded: false, command: 'sleep' },
  onKnown: (known) => known(),
  onEnded: () => {},
  signal: () => {},
  close: () => {},
};

/** sanlock grants all that it is asked for. */
const GRANTS: Pick<GuardLeases, 'run'> = {
  run: (_guest, steps, done) => {
    let turn = steps.next({ code: 0, nowMs: 0 });
    while (turn.done !== true) turn = steps.next({ code: 0, nowMs: 0 });
    done(turn.value);
  },
};

class Service {
  readonly clock = new SimClock();
  readonly records = new Map<string, string>();
  #accept: (connection: Connection) => void = () => {};
  #settled: () => void = () => {};
  #code: number | null;
  #fd = 3;

  /** @param code of the lockspace; null: the first join is under way */
  constructor(code: number | null = 0) {
    this.#code = code;
    const lockspaceCode = () => this.#code;
    const ports: GuardPorts = {
      config: {
        ...{ hostId: 1, leaseDir: '/leases', ioTimeoutS: null, user: null, group: null },
        ...{ naming: NAMING, onConflict: 'kill', onReconnect: 'kill' },
      },
      ...{ clock: this.clock, log: QUIET, socketPath: '/s', leases: GRANTS },
      sockets: {
        listen: (_at, accept) => {
          this.#accept = accept;
          return { close: () => {} };
        },
      },
      keepers: {
        start: (_of, started) => this.clock.after(1, () => started(KEEPER)),
        ...{ find: () => null, all: () => [], lose: () => {} },
      },
      records: {
        save: (uuid, json) => this.records.set(uuid, json),
        remove: (uuid) => this.records.delete(uuid),
        load: () => new Map(),
      },
      killpathOf: () => ({ path: '/x', args: '' }),
      guestFiles: { watch: () => {}, close: () => {} },
      nameDisks: (disks, answer) =>
        answer(
          leasesOf(disks, NAMING, {
            path: (realPath) => ({ realPath, deviceKey: null }),
            volume: () => ok({ kind: 'local', type: 'none' }),
            md5: () => 'a'.repeat(32),
          }),
        ),
      explain: (_refused, answer) => answer('refused'),
      qemus: { at: () => null, find: () => null, running: () => [] },
      lockspace: {
        get code() {
          return lockspaceCode();
        },
        onRejoined: () => {},
        whenSettled: (settled) => {
          if (this.#code === null) this.#settled = settled;
          else settled();
        },
      },
    };
    new GuardProgram(ports).start();
  }

  settle(code: number): void {
    this.#code = code;
    this.#settled();
  }

  connect(): SimPeer {
    const peer = new SimPeer((happen) => this.clock.after(0, happen));
    this.#accept(peer.connection(this.#fd++, 100));
    return peer;
  }

  say(line: string): SimPeer {
    const peer = this.connect();
    peer.send(new TextEncoder().encode(line));
    return peer;
  }

  pass(forMs: number): void {
    this.clock.runUntil(this.clock.nowMs() + forMs);
  }
}

const said = ({ received }: SimPeer) => new TextDecoder().decode(Uint8Array.from(received));
const start = `${JSON.stringify({ operation: 'start', xml: guestXml('web', WEB) })}\n`;

test('a hook is answered, and the guest is recorded with its keeper', () => {
  const service = new Service();
  const hook = service.say(start);
  service.pass(10);
  assert.equal(said(hook), '{"text":null}\n');
  assert.match(service.records.get(WEB) ?? '', /"keeper":\{"pid":77,"identity":"77"\}/);
  const { report } = JSON.parse(said(service.say('{"operation":"status"}\n')));
  assert.equal(report.guests[0].leases[0].held, 'exclusive');
  assert.equal(report.guests[0].keeperPid, 77);
});

test('what is no call is refused', () => {
  const service = new Service();
  for (const line of ['x\n', '[]\n', 'null\n', '{"operation":1}\n', '{"operation":"start"}\n']) {
    assert.equal(
      said(service.say(line)),
      '{"text":"guard: the hook sent what is no call"}\n',
      line,
    );
  }
  const huge = service.connect();
  for (let n = 0; n < 10; n++) huge.send(new Uint8Array(1 << 20).fill(120));
  assert.equal(said(huge), '{"text":"guard: the hook sent what is no call"}\n');
});

test('a client that dies between two bytes, or never ends its call, costs a place for a while', () => {
  const service = new Service();
  const halves = Array.from({ length: 256 }, () => service.say('{"operation":'));
  assert.ok(service.connect().closedByDaemon, 'no place is left');
  for (const peer of halves.slice(0, 10)) peer.close();
  assert.ok(!service.connect().closedByDaemon);
  service.pass(11 * SECOND_MS);
  assert.ok(halves.slice(10).every((peer) => peer.closedByDaemon));
  const hook = service.say(start);
  service.pass(10);
  assert.equal(said(hook), '{"text":null}\n');
});

test('a start waits for the first join of the lockspace, but not for ever', () => {
  const service = new Service(null);
  const hook = service.say(start);
  service.pass(20 * SECOND_MS);
  assert.equal(said(hook), '');
  service.settle(0);
  service.pass(10);
  assert.equal(said(hook), '{"text":null}\n');

  const never = new Service(null);
  const late = never.say(start);
  never.pass(101 * SECOND_MS);
  assert.notEqual(said(late), '');
  const release = new Service(null).say(start.replace('"start"', '"release"'));
  assert.equal(said(release), '{"text":null}\n', 'a release waits for nothing');
});
