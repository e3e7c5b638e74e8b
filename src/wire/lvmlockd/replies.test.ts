import assert from 'node:assert/strict';
import { test } from 'node:test';
import { normalReply, ownerReply, shortReply, startReply } from './replies.ts';

const HEAD = { op: 7, lockType: 'sanlock', result: -11, lmResult: -11, flags: '' } as const;
const TEXT =
  'response = "OK"\nop = 7\nlock_type = "sanlock"\nop_result = -11\nlm_result = -11\n' +
  'result_flags = "none"\n';

test('a reply has its fields in the order of the C daemon, and the generation last', () => {
  assert.equal(normalReply({ ...HEAD, generation: 3 }), `${TEXT}ls_generation = 3\n\n##\n`);
});

test('start_vg tells the generation before', () => {
  assert.equal(startReply({ ...HEAD, prevGeneration: 2 }), `${TEXT}prev_generation = 2\n\n##\n`);
});

test('what is not known of an owner is 0 or "none"', () => {
  const owner = { hostId: 2, generation: 0, timestampS: 0, state: '', name: '' };
  assert.equal(
    ownerReply({ ...HEAD, owner }),
    `${TEXT}owner_host_id = 2\nowner_generation = 0\nowner_timestamp = 0\n` +
      'owner_state = "none"\nowner_name = "none"\n\n##\n',
  );
});

test('the short reply has no lock type', () => {
  assert.equal(
    shortReply({ op: 30, result: -1 }),
    'response = "OK"\nop = 30\nop_result = -1\n\n##\n',
  );
});
