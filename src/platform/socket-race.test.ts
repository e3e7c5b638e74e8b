import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { textToName } from '../base/bytes.ts';
import { type BoundSocket, bindSocket } from './bound-socket.ts';
import { closeFd } from './system-calls.ts';

/** Another process of this file binds, prints how it went, and waits until it may go on. */
const ROLE_PATH = process.env['HOLDFAST_TEST_BIND'];

function bindAt(path: string): BoundSocket {
  const at = { path: textToName(path), mode: 0o660, uid: -1, gid: -1 };
  return bindSocket(at, { type: 'stream', backlog: 5 });
}

function playRole(path: string): void {
  process.stdin.on('data', () => {
    try {
      bindAt(path);
      process.stdout.write('bound\n');
    } catch (error) {
      process.stdout.write(`${error instanceof Error ? error.message : String(error)}\n`);
    }
  });
  process.stdin.on('end', () => process.exit(0));
  process.stdout.write('ready\n');
}

class Racer {
  readonly #child: ChildProcess;
  #text = '';

  constructor(path: string) {
    const env = { ...process.env, HOLDFAST_TEST_BIND: path };
    this.#child = spawn(process.execPath, [fileURLToPath(import.meta.url)], {
      env,
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.#child.stdout?.on('data', (bytes: Buffer) => {
      this.#text += bytes.toString();
    });
  }

  async line(index: number): Promise<string> {
    while (this.#text.split('\n').length <= index + 1) {
      const { stdout } = this.#child;
      assert.ok(stdout !== null);
      await once(stdout, 'data');
    }
    return this.#text.split('\n')[index] ?? '';
  }

  go(): void {
    this.#child.stdin?.write('go\n');
  }

  async end(): Promise<void> {
    const exit = once(this.#child, 'exit');
    this.#child.stdin?.end();
    await exit;
  }
}

async function raceFor(path: string, racerCount: number): Promise<readonly string[]> {
  const racers = Array.from({ length: racerCount }, () => new Racer(path));
  try {
    for (const racer of racers) assert.equal(await racer.line(0), 'ready');
    for (const racer of racers) racer.go();
    return await Promise.all(racers.map((racer) => racer.line(1)));
  } finally {
    await Promise.all(racers.map((racer) => racer.end()));
  }
}

async function oneServes(): Promise<void> {
  const directory = mkdtempSync('/tmp/holdfast-race-');
  try {
    const path = join(directory, 'x.sock');
    for (let round = 0; round < 3; round++) {
      closeFd(bindAt(path).fd); // as after a crash: the name stays, no process answers
      const lines = await raceFor(path, 6);
      assert.equal(lines.filter((line) => line === 'bound').length, 1, lines.join('; '));
      const refused = lines.filter((line) => line.includes('another daemon serves it'));
      assert.equal(refused.length, 5, lines.join('; '));
    }
  } finally {
    rmSync(directory, { recursive: true });
  }
}

if (ROLE_PATH !== undefined) playRole(ROLE_PATH);
else test('of daemons that start at once over the socket of a dead daemon, one serves', oneServes);
