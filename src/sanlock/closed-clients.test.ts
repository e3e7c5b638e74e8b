import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LeaseAnswer } from '../lease-process/messages.ts';
import { ACQUIRE_FLAGS, REL_FLAGS, RES_FLAGS, SM_CMD } from '../wire/sanlock/socket.ts';
import type { Client } from './state.ts';
import { acquireBody, Harness, hold, resource } from './testing/harness.ts';

const { SHARED, PERSISTENT } = RES_FLAGS;
const bare = (n: number, flags = 0) => resource(n, { flags, bare: true });

type Ask = (harness: Harness, client: Client) => void;

/** Requests about leases; R1 is what the situation is about, R2 and R3 are free. */
const REQUESTS: Readonly<Record<string, Ask>> = Object.fromEntries([
  ...[0, SHARED, PERSISTENT, SHARED | PERSISTENT].flatMap((flags) =>
    [[1], [2], [2, 3], [1, 2]].map((wanted): [string, Ask] => [
      `acquire ${wanted} flags ${flags}`,
      (harness, client) => {
        const body = acquireBody(wanted.map((n) => resource(n, { flags })));
        const cmdFlags = ACQUIRE_FLAGS.ORPHAN;
        harness.ask(client, SM_CMD.ACQUIRE, body, { data: wanted.length, cmdFlags });
      },
    ]),
  ),
  ...[SHARED, 0].map((flags): [string, Ask] => [
    `convert to flags ${flags}`,
    (harness, client) => harness.ask(client, SM_CMD.CONVERT, bare(1, flags)),
  ]),
  ['release', (harness, client) => harness.ask(client, SM_CMD.RELEASE, bare(1), { data: 1 })],
  [
    'release all',
    (harness, client) =>
      harness.ask(client, SM_CMD.RELEASE, new Uint8Array(0), { cmdFlags: REL_FLAGS.ALL }),
  ],
  [
    'release orphan',
    (harness, client) =>
      harness.ask(client, SM_CMD.RELEASE, bare(1), { data: 1, cmdFlags: REL_FLAGS.ORPHAN }),
  ],
]);

/** What is held when the request comes. */
const SITUATIONS: Readonly<Record<string, (harness: Harness, client: Client) => void>> = {
  'nothing is held': () => {},
  'the client holds R1': (harness, client) => takes(harness, client, 0),
  'the client shares R1': (harness, client) => takes(harness, client, SHARED),
  'the client holds R1 persistently': (harness, client) => {
    takes(harness, client, PERSISTENT);
  },
  'another one shares R1': (harness) => takes(harness, harness.connect(600), SHARED),
  'R1 is an orphan': (harness) => {
    const dying = harness.connect(601);
    takes(harness, dying, PERSISTENT);
    harness.close(dying);
  },
};

function takes(harness: Harness, client: Client, flags: number): void {
  harness.ask(client, SM_CMD.ACQUIRE, acquireBody([resource(1, { flags })]), { data: 1 });
  if (harness.runs.length > 0) harness.granted(1, 1, (flags & SHARED) !== 0);
}

/** The lease process carries out its next command; false: there is none. */
function worksOn(harness: Harness, succeeds: boolean): boolean {
  const command = harness.runs[0]?.command;
  if (command === undefined) return false;
  harness.ran(1, succeeds ? answerOf(command) : 'AIO_TIMEOUT');
  return true;
}

function answerOf(command: Harness['runs'][number]['command']): LeaseAnswer {
  switch (command.op) {
    case 'acquire': {
      const n = Number(command.name.resourceName.slice(1));
      return { op: 'acquire', hold: hold(n, { shared: command.shared, lver: 1n }), lvb: null };
    }
    case 'convert': {
      return { op: 'convert', hold: hold(command.hold, { shared: command.toShared, lver: 2n }) };
    }
    case 'release':
      return { op: 'release' };
    default:
      throw new Error(`${command.op} was not expected`);
  }
}

function walk(visit: (harness: Harness, client: Client, where: string) => void): number {
  let visited = 0;
  for (const [situation, prepare] of Object.entries(SITUATIONS)) {
    for (const [request, ask] of Object.entries(REQUESTS)) {
      for (const succeeds of [true, false]) {
        for (let cut = 0; ; cut++) {
          const harness = new Harness();
          harness.join(10);
          const client = harness.connect(501);
          prepare(harness, client);
          ask(harness, client);
          let done = 0;
          while (done < cut && worksOn(harness, succeeds)) done++;
          if (done < cut) break;
          const how = succeeds ? 'done' : 'failed';
          visit(harness, client, `${situation}; ${request}; after ${cut} ${how}`);
          visited++;
        }
      }
    }
  }
  return visited;
}

test('a client that ends at any point of any request holds nothing afterwards', () => {
  const visited = walk((harness, client, where) => {
    harness.close(client);
    while (worksOn(harness, true));
    const { front } = harness;
    assert.equal(front.pending.size, 0, where);
    assert.deepEqual(front.waiting, [], where);
    assert.deepEqual(client.tokens, [], where);
    for (const one of front.resources) {
      for (const token of one.holders) assert.ok(!token.client.dead, `${one.name}: ${where}`);
      const isKept = one.state === 'orphan' && one.orphaned;
      assert.ok(isKept || one.holders.length > 0, `${one.name} ${one.state}: ${where}`);
    }
  });
  assert.ok(visited > 300, `${visited} points`);
});

test('a lockspace that is lost at any point of any request: each is answered, nothing is held', () => {
  walk((harness, client, where) => {
    const wasAnswered = harness.lines.some((line) => line.includes(`c${client.connection} answer`));
    harness.lines = [];
    harness.at(harness.front.nowMs + 80_000);
    harness.tick();
    while (worksOn(harness, true));
    const answers = harness.lines.filter((line) => line.startsWith(`c${client.connection} answer`));
    assert.ok(answers.length === 1 || wasAnswered, `${answers.length} answers: ${where}`);
    const grants = client.tokens.filter(({ resource: { name } }) => name !== 'R1');
    assert.ok(grants.length === 0 || wasAnswered, where);
    harness.close(client);
    assert.equal(harness.front.pending.size, 0, where);
  });
});
