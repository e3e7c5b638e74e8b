import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HOST_STATES, SM_CMD } from '../../wire/sanlock-socket.ts';
import { lockspace, Stage } from '../testing/stage.ts';
import { hostState } from './info.ts';

test('GET_LOCKSPACES: 949 fit into a mebibyte, with one more there is only their number', () => {
  const stage = new Stage();
  const list = () => {
    stage.ask(stage.connect(800, false), SM_CMD.GET_LOCKSPACES, new Uint8Array(0));
  };
  const add = (count: number) => {
    for (let n = 0; n < count; n++) {
      const asker = stage.connect(900, false);
      const path = `/dev/lun${asker.connection}`;
      const body = lockspace(`LS${asker.connection}`, { path });
      stage.ask(asker, SM_CMD.ADD_LOCKSPACE, body);
      stage.front.clients.delete(asker.connection);
    }
    stage.lines = [];
  };
  add(949);
  stage.play([[100, list, ['c950 answer 22: 0', 'c950 end']]]);
  add(1);
  stage.play([[100, list, ['c952 answer 22: -28', 'c952 end']]]);
});

test('a host is called dead once a look sent after its expiry found it still, however late it is', () => {
  const stage = new Stage();
  stage.join(1);
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
  const looked = (sentS: number) => {
    const message = { kind: 'hosts', sentS, checkedS: sentS, signals: [] } as const;
    stage.say(1, { ...message, changed: sentS === 100 ? [host] : [] });
  };
  const state = (): number => {
    const [space] = stage.front.lockspaces;
    assert.ok(space !== undefined);
    return hostState(stage.front, space, host);
  };
  const at = (atS: number, sentS: number) => {
    stage.front.nowMs = atS * 1000;
    looked(sentS);
    return state();
  };
  const { UNKNOWN, FAIL, DEAD } = HOST_STATES;
  assert.equal(at(100, 100), UNKNOWN);
  assert.equal(at(169, 108), FAIL); // it may have renewed since
  assert.equal(at(169, 109), DEAD);
  assert.equal(at(168, 168), FAIL);
});
