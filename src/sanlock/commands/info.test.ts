import { test } from 'node:test';
import { SM_CMD } from '../../wire/sanlock-socket.ts';
import { lockspace, Stage } from '../testing/stage.ts';

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
