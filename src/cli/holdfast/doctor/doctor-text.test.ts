import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasControl } from '../../../base/plain-text.ts';
import { type Diagnosis, diagnosis, manual, safe } from '../../../inspect/doctor/diagnosis.ts';
import { HEALTHY } from '../../../inspect/doctor/testing/healthy-facts.ts';
import { PLAIN } from '../status/paint.ts';
import { doctorJson, doctorText, fixedText } from './doctor-text.ts';

const HOSTILE = 'vg\u001b[2J\nFORGED';

const FINDINGS: readonly Diagnosis[] = [
  diagnosis('leaseDeviceHung', {
    about: HOSTILE,
    found: `/dev/mapper/${HOSTILE} does not answer, and ${'many words '.repeat(12)}`,
    evidence: [`a read of ${HOSTILE} has had no answer`, 'more'],
    plan: [
      manual(
        'see to it',
        `lvmlockctl --drop ${'a-very-long-name '.repeat(9)}`,
        'it releases locks',
      ),
      safe('start VG', { kind: 'startVg', vg: HOSTILE }),
    ],
  }),
  diagnosis('hostDead', {
    found: 'gone',
    evidence: ['vg/lv'],
    plan: [manual('take it', null, 'x')],
  }),
];

test('text: 80 columns, each finding with what was seen, its cause and its steps', () => {
  const text = doctorText(FINDINGS, { paint: PLAIN, facts: HEALTHY });
  for (const line of text.split('\n')) assert.ok(line.length <= 80, line);
  assert.match(text, /^PROBLEM {3}\/dev\/mapper\/vg\?\[2J\?FORGED does not answer/);
  assert.match(text, /\[leaseDeviceHung\]\n {2}seen {4}a read of vg\?/);
  assert.match(text, /\n {2}cause {3}the storage under the leases neither answers nor fails\n/);
  assert.match(text, / \\\n {14}a-very-long-name/, 'a command goes on in the next line');
  assert.match(text, /\(by hand: it releases locks\)\n {10}- start VG \(safe: --fix does it\)\n/);
  assert.match(text, /1 problem, 1 note\. Running daemons: 3/);
  const well = doctorText([], { paint: PLAIN, facts: HEALTHY });
  assert.match(well, /^Nothing is wrong with this host\. /);
});

test('what could not be looked at is told', () => {
  const unread = [{ what: 'lvm', of: '', why: 'vgs did not end within 10 s' }] as const;
  const facts = { ...HEALTHY, snapshot: { ...HEALTHY.snapshot, unread } };
  assert.match(doctorText([], { paint: PLAIN, facts }), /not looked at: lvm: vgs did not end/);
});

test('JSON: the schema, no control character, and what --fix did', () => {
  const fixed = [{ kind: 'vgNotStarted', about: HOSTILE, does: 'start', failure: 'no' }];
  const of = { schema: 'holdfast.doctor/1', facts: HEALTHY, fixed };
  const text = doctorJson(FINDINGS, of);
  assert.ok(
    !hasControl(text.replaceAll('\n', '')) && !text.includes('\\u00') && !text.includes('\\n'),
  );
  const json = JSON.parse(text);
  assert.deepEqual(Object.keys(json), ['schema', 'findings', 'unread', 'fixed']);
  assert.equal(json.findings[0].plan[1].fix.kind, 'startVg');
  assert.ok(!('fixed' in JSON.parse(doctorJson([], { ...of, fixed: null }))));
});

test('what --fix did, and what it did not', () => {
  const done = { kind: 'vgNotStarted', about: 'vg', does: 'start VG vg', failure: null };
  const text = fixedText([done, { ...done, failure: `no ${'reason '.repeat(20)}` }], PLAIN);
  for (const line of text.split('\n')) assert.ok(line.length <= 80, line);
  assert.match(text, /^done {6}vg: start VG vg\nnot done {2}vg: start VG vg: no reason/);
  assert.match(fixedText([], PLAIN), /^No finding has a step that is safe/);
});
