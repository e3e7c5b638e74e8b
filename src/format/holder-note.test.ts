import assert from 'node:assert/strict';
import { test } from 'node:test';
import { textToName } from '../base/bytes.ts';
import { cutName, encodeHolderNote, HOLDER_NOTE_OFFSET, holderNoteOf } from './holder-note.ts';

const FACTS = {
  pid: 4711,
  clientName: 'lvmlockd',
  command: 'lvmlockd',
  uuid: '6f1c1d1e-27a1-4b52-a1e7-0d2b9d8a4f10',
  sinceUnixS: 1_795_000_000n,
  sinceMonotonicS: 86_400n,
};
const HOLD = { hostId: 3n, generation: 7n, lver: 12n };

function sectorOf(facts = FACTS): Uint8Array {
  const sector = new Uint8Array(512);
  encodeHolderNote(facts, HOLD, sector);
  return sector;
}

test('a note comes back as it was written, beside the two blocks and wherever its sector lies', () => {
  const sector = sectorOf();
  assert.deepEqual(holderNoteOf(HOLD, sector), FACTS);
  const text = Buffer.from(sector).toString('latin1', HOLDER_NOTE_OFFSET, HOLDER_NOTE_OFFSET + 4);
  assert.equal(text, 'HFHN');
  assert.ok(sector.subarray(0, HOLDER_NOTE_OFFSET).every((byte) => byte === 0));
  const area = new Uint8Array(3 * 4096);
  area.set(sector, 8192);
  assert.deepEqual(holderNoteOf(HOLD, area.subarray(4096), 4096), FACTS);
});

test('a note of another hold, of another version or with a flipped bit is none', () => {
  assert.equal(holderNoteOf(HOLD, new Uint8Array(512)), null);
  assert.equal(holderNoteOf(HOLD, new Uint8Array(512).fill(0x48)), null);
  for (const other of [{ hostId: 4n }, { generation: 8n }, { generation: 6n }, { lver: 13n }]) {
    assert.equal(holderNoteOf({ ...HOLD, ...other }, sectorOf()), null);
  }
  for (let byte = HOLDER_NOTE_OFFSET; byte < 512; byte++) {
    for (const bit of [1, 0x80]) {
      const sector = sectorOf();
      sector[byte] = (sector[byte] ?? 0) ^ bit;
      assert.equal(holderNoteOf(HOLD, sector), null, `byte ${byte}`);
    }
  }
});

test('a long name is cut between two characters, and any bytes are a name', () => {
  const name = textToName(`${'a'.repeat(47)}ü`);
  assert.equal(cutName(name, 48), 'a'.repeat(47));
  assert.equal(cutName(name, 49), name);
  assert.equal(cutName(textToName('🙂🙂🙂'), 11), textToName('🙂🙂'));
  assert.equal(cutName('\x80'.repeat(60), 48), '\x80'.repeat(48));
  const found = holderNoteOf(HOLD, sectorOf({ ...FACTS, clientName: name }));
  assert.equal(found?.clientName, 'a'.repeat(47));
  const hostile = '\x1b[2J\nroot\xff';
  assert.equal(
    holderNoteOf(HOLD, sectorOf({ ...FACTS, clientName: hostile }))?.clientName,
    hostile,
  );
});
