import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dblock, modeBlock } from './dblock.ts';
import { deltaLeader, paxosLeader } from './leader.ts';
import { requestRecord } from './request.ts';
import { indexEntry, indexHeader } from './resource-index.ts';

const TABLES = [
  deltaLeader,
  paxosLeader,
  dblock,
  modeBlock,
  requestRecord,
  indexHeader,
  indexEntry,
];
/** Sent by any client, or read by no program. */
const ANYTHING = new Set([
  'deltaLeader.unused1',
  'deltaLeader.eventGeneration',
  'deltaLeader.eventNumber',
  'deltaLeader.eventData',
  'paxosLeader.unused1',
]);

test('every number of 64 bits on the disk has bounds, or is known to have none', () => {
  for (const { name, fields } of TABLES) {
    for (const [key, field] of Object.entries(fields)) {
      if (field.kind === 'pad' || field.size !== 8) continue;
      const isBound = field.range !== null;
      assert.equal(isBound, !ANYTHING.has(`${name}.${key}`), `${name}.${key}`);
    }
  }
});
