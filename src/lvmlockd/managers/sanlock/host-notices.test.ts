import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decode } from '../../../codec/struct.ts';
import { LD_RESULT } from '../../../wire/lvmlockd/numbers.ts';
import {
  EVENT_FLAGS,
  SM_HEADER_BYTES,
  sanlkHostEvent,
  sanlkLockspace,
  smHeader,
} from '../../../wire/sanlock/socket.ts';
import { sanlockCallOf } from './ask.ts';
import { noticeOf, REFRESH_EVENT, tell } from './host-notices.ts';
import { FakeSanlock, SITE } from './testing/fake-sanlock.ts';
import { sanlockTimes } from './times.ts';

const SPACE = { site: SITE, hostId: 3, session: 1, times: sanlockTimes(10) };
const FROM = { hostId: 1n, fromHostId: 3n, fromGeneration: 4n };

/** The words of SET_EVENT, and its flags. */
function toldAs(lvMark: string) {
  const turn = tell(SPACE, { order: 77, lvMark }).next();
  assert.ok(turn.done !== true && turn.value.kind === 'call');
  const { request } = sanlockCallOf(turn.value);
  const event = decode(sanlkHostEvent, request, SM_HEADER_BYTES + sanlkLockspace.size);
  return { event, flags: decode(smHeader, request).cmdFlags };
}

test('a notice travels as a host event to all hosts, and is read as it was told', () => {
  for (const lvMark of ['', 'Ab3dEf7h', 'zzzzzzzz']) {
    const { event, flags } = toldAs(lvMark);
    assert.equal(flags, EVENT_FLAGS.ALL_HOSTS, 'and replaces no other event');
    assert.equal(event.hostId, 3n);
    const heard = noticeOf({ ...event, ...FROM });
    assert.deepEqual(heard, { order: 77, lvMark, fromHostId: 3, fromGeneration: 4 });
  }
});

test('on the disk the words can be read, and none is a bit of sanlk-reset', () => {
  const bytes = (word: bigint) => {
    const view = new DataView(new ArrayBuffer(8));
    view.setBigUint64(0, word, true);
    return [...new Uint8Array(view.buffer)].map((byte) => String.fromCharCode(byte)).join('');
  };
  assert.equal(bytes(REFRESH_EVENT), '\x10lvsize\0');
  assert.equal(REFRESH_EVENT & 0xfn, 0n);
  assert.equal(bytes(toldAs('Ab3dEf7h').event.data), 'Ab3dEf7h');
});

test('events of other programs are none of ours', () => {
  const { event } = toldAs('Ab3dEf7h');
  const heard = (more: Partial<typeof event>) => noticeOf({ ...event, ...FROM, ...more });
  assert.equal(heard({ event: 1n }), null);
  assert.equal(heard({ event: REFRESH_EVENT + 0x10n }), null, 'of a later version');
  assert.equal(heard({ data: 0x2e2fn }), null, 'no beginning of a uuid');
  assert.equal(heard({ generation: 1n << 60n }), null);
});

test('another event that is shown is not replaced: it is told later', () => {
  const result = (code: number) => {
    const fake = new FakeSanlock();
    fake.script('set_event', { code });
    return fake.run(tell(SPACE, { order: 1, lvMark: '' }));
  };
  assert.deepEqual(result(0), { result: 0, lmResult: 0 });
  assert.equal(result(-16).result, LD_RESULT.AGAIN);
  assert.deepEqual(result(-2), { result: LD_RESULT.REFUSED, lmResult: -2 });
});
