import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HOST_STATES } from '../../../wire/sanlock/socket.ts';
import { hostOnDisk } from './hosts.ts';
import { FakeSanlock, type Scripted, SITE, started } from './testing/fake-sanlock.ts';
import { hostLease } from './testing/host-lease.ts';

const OWN = { hostId: 1n, state: HOST_STATES.LIVE };

test('a host whose state is unknown counts as present', () => {
  const other = (state: number) => ({ hostId: 2n, state });
  const othersBy = (...answers: Scripted[]) => {
    const fake = new FakeSanlock();
    const space = started(fake);
    fake.hosts = [];
    fake.script('get_hosts', ...answers);
    const { result, unknown } = fake.run(space.otherHosts());
    return `${result} ${unknown}`;
  };
  assert.equal(othersBy({ hosts: [OWN] }), '0 false');
  assert.equal(othersBy({ hosts: [OWN, other(HOST_STATES.FREE)] }), '0 false');
  assert.equal(othersBy({ hosts: [OWN, other(HOST_STATES.DEAD)] }), '0 false');
  assert.equal(othersBy({ hosts: [OWN, other(HOST_STATES.LIVE)] }), '-16 false');
  assert.equal(othersBy({ hosts: [OWN, other(HOST_STATES.FAIL)] }), '-16 false');
  assert.equal(othersBy({ code: -11 }, { hosts: [OWN] }), '0 false');
  assert.equal(othersBy({ code: -2 }), '-16 true');
  assert.equal(othersBy({ code: -107, answered: false }), '-16 true');
  assert.equal(othersBy({ hosts: [] }), '-16 true');
  const unsure = { hosts: [OWN, other(HOST_STATES.UNKNOWN)] };
  assert.equal(othersBy(unsure, { hosts: [OWN, other(HOST_STATES.LIVE)] }), '-16 false');
});

test('a host that has left is not there, whatever sanlock saw of it at its last renewal', () => {
  const others = [
    { hostId: 2n, state: HOST_STATES.LIVE },
    { hostId: 3n, state: HOST_STATES.FAIL },
  ];
  /** The timestamps in the host leases of hosts 2 and 3; null: there is no sound one. */
  const othersBy = (...timestamps: readonly (number | null)[]) => {
    const fake = new FakeSanlock();
    const space = started(fake);
    for (const [index, timestampS] of timestamps.entries()) {
      const hostId = index + 2;
      if (timestampS === null) continue;
      fake.sectors.set(`${(hostId - 1) * 512} 512`, hostLease({ hostId, timestampS }));
    }
    fake.script('get_hosts', { hosts: [OWN, ...others.slice(0, timestamps.length)] });
    return fake.run(space.otherHosts()).result;
  };
  assert.equal(othersBy(0), 0);
  assert.equal(othersBy(77), -16);
  assert.equal(othersBy(null), -16);
  assert.equal(othersBy(0, 0), 0);
  assert.equal(othersBy(0, 77), -16);
  assert.equal(othersBy(77, 0), -16);
  assert.equal(othersBy(0, null), -16);
});

test('a host lease that is damaged, of another host, or not read, says nothing', () => {
  const fake = new FakeSanlock();
  const read = () => fake.run(hostOnDisk(SITE, 2, 100));
  assert.equal(read(), null);
  fake.sectors.set('512 512', hostLease({ hostId: 2, timestampS: 77 }));
  assert.deepEqual(read(), { generation: 3, timestampS: 77, ioTimeoutS: 10, name: 'node2' });
  const damaged = hostLease({ hostId: 2, timestampS: 77 });
  damaged[104] = 1;
  fake.sectors.set('512 512', damaged);
  assert.equal(read(), null);
  fake.sectors.set('512 512', hostLease({ hostId: 3, timestampS: 77 }));
  assert.equal(read(), null);
});
