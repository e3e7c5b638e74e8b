import assert from 'node:assert/strict';
import { mkdtempSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { MIB } from '../../src/base/units.ts';
import {
  clientCommand,
  type Maker,
  makeArea,
  removeRunFolder,
  startDaemon,
  type TestDaemon,
  whyNot,
} from './sanlock-daemons.ts';

/** One index of resource names used by a C daemon and ours, through both command lines. */

/** The other host has the index lease at this moment, or wins it (spec 10 §13, -243 to -247). */
const BUSY = /done -24[3-7]\n/;
const BUSY_MS = 60_000;

class Storage {
  readonly directory = mkdtempSync('/var/tmp/holdfast-rindex-');
  readonly ls = makeArea(`${this.directory}/ls`, MIB);
  readonly rx = makeArea(`${this.directory}/rx`, 32 * MIB);
  readonly daemons: TestDaemon[] = [];

  async host(maker: Maker, hostId: number): Promise<TestDaemon> {
    const names = { hostName: `host${hostId}`, runName: `run${hostId}` };
    const extra = ['-l', '0', '-h', '0'];
    const daemon = await startDaemon(maker, { ...names, directory: this.directory, extra });
    this.daemons.push(daemon);
    if (hostId === 1) await say(daemon, 'c', `init -s LS:0:${this.ls}:0 -o 2`);
    await say(daemon, 'c', `add_lockspace -s LS:${hostId}:${this.ls}:0 -o 2`);
    return daemon;
  }

  async end(): Promise<void> {
    for (const daemon of this.daemons) await daemon.stop();
    await removeRunFolder(this.directory);
  }
}

/** What a command line says; tried again while the other host has the index. */
async function say(daemon: TestDaemon, cli: Maker, words: string): Promise<string> {
  const untilMs = Date.now() + BUSY_MS;
  while (Date.now() < untilMs) {
    const ran = await clientCommand(daemon, words.split(' '), cli);
    if (!BUSY.test(ran.stdout)) return ran.stdout;
    await sleep(50 + 100 * Math.random());
  }
  throw new Error(`sanlock client ${words}: busy for ${BUSY_MS / 1000} s\n${daemon.log()}`);
}

test('a C daemon and ours fill, read and rebuild one index', async (t) => {
  const reason = whyNot('c', 'ours');
  if (reason !== null) return t.skip(reason);
  const storage = new Storage();
  try {
    const [c, ours] = [await storage.host('c', 1), await storage.host('ours', 2)];
    const x = `-x LS:${storage.rx}:0`;
    const at = (n: number) => (2 + n) * MIB;
    assert.equal(await say(c, 'ours', `format ${x}`), 'format done 0\n');
    const created = (n: number) => `create_resource done 0\noffset ${at(n)}\n`;
    assert.equal(await say(ours, 'c', `create ${x} -e r0`), created(0));
    assert.equal(await say(c, 'c', `create ${x} -e r1`), created(1));
    assert.equal(await say(ours, 'ours', `create ${x} -e r2`), created(2));
    for (const daemon of [c, ours]) {
      for (const cli of ['c', 'ours'] as const) {
        const found = (n: number) => `lookup done 0\nname r${n} offset ${at(n)}\n`;
        for (const n of [0, 1, 2]) {
          assert.equal(await say(daemon, cli, `lookup ${x} -e r${n}`), found(n));
          assert.equal(await say(daemon, cli, `lookup ${x} -e :${2 + n}M`), found(n));
        }
        const free = await say(daemon, cli, `lookup ${x}`);
        assert.equal(free, `lookup done 0\nname - offset ${at(3)}\n`);
      }
    }
    // Each deletes what the other created, and takes its place.
    assert.equal(await say(c, 'c', `delete ${x} -e r0`), 'delete_resource done 0\n');
    assert.equal(await say(ours, 'c', `create ${x} -e n0`), created(0));
    assert.equal(await say(ours, 'c', `delete ${x} -e r1`), 'delete_resource done 0\n');
    assert.equal(await say(c, 'ours', `create ${x} -e n1`), created(1));
    for (const daemon of [c, ours]) {
      const other = daemon === c ? ours : c;
      assert.equal(await say(other, 'c', `update ${x} -e n1:3M -z 1`), 'update done 0\n');
      assert.equal(await say(daemon, 'c', `lookup ${x} -e n1`), 'lookup done -2\n');
      assert.equal(await say(daemon, 'c', `rebuild ${x}`), 'rebuild done 0\n');
      assert.equal(
        await say(other, 'c', `lookup ${x} -e n1`),
        `lookup done 0\nname n1 offset ${at(1)}\n`,
      );
      assert.equal(await say(other, 'c', `lookup ${x} -e r0`), 'lookup done -2\n');
    }
  } finally {
    await storage.end();
  }
});

test('both daemons create at the same time: no place is given twice', async (t) => {
  const reason = whyNot('c', 'ours');
  if (reason !== null) return t.skip(reason);
  const storage = new Storage();
  try {
    const worlds = [await storage.host('c', 1), await storage.host('ours', 2)] as const;
    const x = `-x LS:${storage.rx}:0`;
    await say(worlds[0], 'c', `format ${x}`);
    const create = async (daemon: TestDaemon, who: string): Promise<string[]> => {
      const said: string[] = [];
      for (let n = 0; n < 6; n++) said.push(await say(daemon, 'c', `create ${x} -e ${who}${n}`));
      return said;
    };
    const said = (await Promise.all([create(worlds[0], 'a'), create(worlds[1], 'b')])).flat();
    const offsets = said.map((text) => /^create_resource done 0\noffset (\d+)\n$/.exec(text)?.[1]);
    assert.equal(new Set(offsets).size, 12, said.join(''));
    const inRange = (offset: string | undefined) => Number(offset) >= 2 * MIB;
    assert.ok(offsets.every(inRange), said.join(''));
    for (const daemon of worlds) {
      for (const name of ['a0', 'a5', 'b0', 'b5']) {
        const found = await say(daemon, 'ours', `lookup ${x} -e ${name}`);
        assert.match(found, new RegExp(`^lookup done 0\\nname ${name} offset \\d+\\n$`));
      }
    }
  } finally {
    await storage.end();
  }
});
