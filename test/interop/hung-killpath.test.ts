import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { textToName } from '../../src/base/bytes.ts';
import { MIB } from '../../src/base/units.ts';
import { ScriptRunner } from '../../src/platform/script-runner.ts';
import { until } from '../../src/rig/run.ts';
import { noHungFile, startHungFile } from './hung-file.ts';

const missing = noHungFile();
const where = missing === null ? { timeout: 60_000 } : { skip: missing };

test(
  'kill scripts on a hung device hold up no program: not us, not the next script',
  where,
  async () => {
    const file = await startHungFile(MIB);
    const directory = mkdtempSync('/tmp/holdfast-killpath-');
    const said: string[] = [];
    const note = (event: string) => said.push(event);
    const scripts = new ScriptRunner({ error: note, warn: note, info: note, debug: note });
    try {
      file.hang();
      let longestMs = 0;
      for (let n = 0; n < 5; n++) {
        const beganMs = performance.now();
        scripts.run(textToName(file.path), []);
        longestMs = Math.max(longestMs, performance.now() - beganMs);
      }
      scripts.run('touch', [textToName(join(directory, 'done'))]);
      const isDone = () => existsSync(join(directory, 'done'));
      await until('the next script', isDone, { withinMs: 20_000 });
      await until('its end', () => said.length > 0, { withinMs: 20_000 });
      assert.deepEqual(said, ['program.ended'], 'those on the device still hang');
      assert.ok(longestMs < 5000, `we waited ${longestMs} ms`);
      file.recover();
      await until('the others end', () => said.length === 6, { withinMs: 20_000 });
    } finally {
      scripts.close();
      file.close();
      rmSync(directory, { recursive: true });
    }
  },
);
