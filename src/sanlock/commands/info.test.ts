import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HOST_STATES, SM_CMD } from '../../wire/sanlock/socket.ts';
import { Harness, lockspace } from '../testing/harness.ts';
import { hostState } from './info.ts';

test('GET_LOCKSPACES: 949 fit into a mebibyte, with one more there is only their number', () => {
  const harness = new Harness();
  const list = () => {
    harness.ask(harness.connect(800, false), SM_CMD.GET_LOCKSPACES, new Uint8Array(0));
  };
  const add = (count: number) => {
    for (let n = 0; n < count; n++) {
      const asker = harness.connect(900, false);
      const path = `/dev/lun${asker.connection}`;
      const body = lockspace(`LS${asker.connection}`, { path });
      harness.ask(asker, SM_CMD.ADD_LOCKSPACE, body);
      harness.front.clients.delete(asker.connection);
    }
    harness.lines = [];
  };
  add(949);
  harness.play([[100, list, ['c950 answer 22: 0', 'c950 end']]]);
  add(1);
  harness.play([[100, list, ['c952 answer 22: -28', 'c952 end']]]);
});

test('a host is dead once a read sent after its expiry found no renewal, however late that is', () => {
  const harness = new Harness();
  harness.join(1);
  const host = {
    hostId: 2,
    ownerId: 2,
    generation: 1n,
    timestampS: 7n,
    ioTimeoutS: 1,
    hostName: 'host2',
    firstCheckS: 100,
    lastLiveS: 100,
  };
  const hostsRead = (sentS: number) => {
    const message = { kind: 'hosts', sentS, checkedS: sentS, signals: [] } as const;
    harness.leaseSends(1, { ...message, changed: sentS === 100 ? [host] : [] });
  };
  const state = (): number => {
    const [space] = harness.front.lockspaces;
    assert.ok(space !== undefined);
    return hostState(harness.front, space, host);
  };
  const at = (atS: number, sentS: number) => {
    harness.at(atS * 1000);
    hostsRead(sentS);
    return state();
  };
  const { UNKNOWN, FAIL, DEAD } = HOST_STATES;
  assert.equal(at(100, 100), UNKNOWN);
  assert.equal(at(169, 108), FAIL); // it may have renewed since
  assert.equal(at(169, 109), DEAD);
  assert.equal(at(168, 168), FAIL);
});
