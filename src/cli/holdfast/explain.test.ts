import assert from 'node:assert/strict';
import { test } from 'node:test';
import { explained } from './explain.ts';

const PAGE = '| `lease.lost` | error | a lease is lost | see the storage |';

test('holdfast explain: text of 80 columns, or JSON', () => {
  const { status, stdout, stderr } = explained(['LV', 'locked', 'by', 'other', 'host:', 'a/b'], '');
  assert.deepEqual([status, stderr], [0, '']);
  assert.match(stdout, /^LV locked by other host: vg1\/data, of lvm\n {2}meaning: {4}\S/);
  assert.match(stdout, /\n {2}what to do: \S/);
  for (const line of stdout.split('\n')) assert.ok(line.length <= 80, line);
  const json = JSON.parse(explained(['--json', '-223'], '').stdout);
  assert.deepEqual(
    [json.schema, json.asked, json.meanings.length],
    ['holdfast.explain/1', '-223', 2],
  );
  const event = JSON.parse(explained(['lease.lost', '--json'], PAGE).stdout);
  assert.equal(event.meanings[0].todo, 'see the storage');
});

test('holdfast explain: what is not known, and mistakes, are told in a line', () => {
  const unknown = explained(['no\u001b[2J\nsuch'], PAGE);
  assert.deepEqual([unknown.status, unknown.stdout], [1, '']);
  assert.equal(unknown.stderr, 'holdfast explain: "no?[2J?such" is not known\n');
  assert.equal(explained(['--json', 'nothing'], PAGE).status, 1);
  assert.match(explained(['--jsno', '-2'], PAGE).stderr, /did you mean --json\?/);
  for (const args of [[], [''], ['--jso', '-2'], ['--json']]) {
    const { status, stdout, stderr } = explained(args, PAGE);
    assert.deepEqual([status, stdout], [2, ''], args.join());
    assert.match(stderr, /^holdfast explain: \S.*\n\(holdfast explain --help shows/);
  }
});
