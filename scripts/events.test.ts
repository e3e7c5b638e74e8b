import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';

/** The list of events that administrators read is the one that the programs write. */

const DOCUMENT = 'docs/operations/events.md';
/** Names of files, file systems and of Node's own things that look like `noun.happened`. */
const NO_EVENT =
  /^fuse\.|\.(cjs|conf|css|duties|exit|holders|html|js|json|node|pid|service|slice|sock|socket|svg|title)$/;

function sources(): readonly { readonly file: string; readonly text: string }[] {
  return readdirSync('src', { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'))
    .filter((file) => !/(^|\/)testing\/|^(sim|rig)\//.test(file))
    .map((file) => ({ file, text: readFileSync(`src/${file}`, 'utf8') }));
}

/** Event by event, the files that have it and the levels at which it is plainly written. */
function written(): ReadonlyMap<string, { files: Set<string>; levels: Set<string> }> {
  const events = new Map<string, { files: Set<string>; levels: Set<string> }>();
  const of = (event: string) => {
    const known = events.get(event) ?? { files: new Set(), levels: new Set() };
    events.set(event, known);
    return known;
  };
  for (const { file, text } of sources()) {
    for (const [, event = ''] of text.matchAll(/'([a-z][A-Za-z]*\.[a-z][A-Za-z]*)'/g)) {
      if (!NO_EVENT.test(event)) of(event).files.add(file);
    }
    const calls = [
      ...text.matchAll(/log\.(error|warn|info|debug)\(\s*'([a-z]\w*\.\w+)'/g),
      ...text.matchAll(/\blog\(\s*'(error|warn|info|debug)',\s*'([a-z]\w*\.\w+)'/g),
    ];
    for (const [, level = '', event = ''] of calls) of(event).levels.add(level);
  }
  return events;
}

/** Each event of the tables with the levels that its row gives. */
function documented(): ReadonlyMap<string, string> {
  const rows = readFileSync(DOCUMENT, 'utf8').split('\n');
  const events = new Map<string, string>();
  for (const row of rows.filter((line) => line.startsWith('| `'))) {
    const [, names = '', levels = ''] = row.split('|');
    for (const [, event = ''] of names.matchAll(/`([a-z]\w*\.\w+)`/g)) {
      events.set(event, `${events.get(event) ?? ''} ${levels}`);
    }
  }
  return events;
}

test('every event that a program writes is in the list', () => {
  const known = documented();
  const missing = [...written()].filter(([event]) => !known.has(event));
  assert.deepEqual(
    missing.map(([event, { files }]) => `${event} (${[...files].join(', ')})`),
    [],
  );
});

test('every event in the list is written by a program', () => {
  const events = written();
  assert.deepEqual(
    [...documented().keys()].filter((event) => !events.has(event)),
    [],
  );
});

test('the list gives the level at which a program writes', () => {
  const known = documented();
  const wrong = [...written()].flatMap(([event, { levels }]) =>
    [...levels]
      .filter(
        (level) =>
          known
            .get(event)
            ?.match(/[a-z]+|–/g)
            ?.includes(level) !== true,
      )
      .map((level) => `${event} is written at ${level}`),
  );
  assert.deepEqual(wrong, []);
});
