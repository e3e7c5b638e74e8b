import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { debFile, debianVersion } from './deb/package.ts';
import { notesOf, whyNotOf } from './release/changelog.ts';
import { type Bom, bundledIn, shippedBill } from './release/sbom.ts';

const ROOT = process.env['HOLDFAST_ROOT'] ?? '.';
const { version } = JSON.parse(readFileSync(`${ROOT}/package.json`, 'utf8')) as {
  readonly version: string;
};
const CHANGELOG = `# Changelog\n\n## ${version} (2026-12-01)\n\n### Added\n\n- one\n\n## 0.0.1 (unreleased)\n\n- old\n`;

test('the notes of a version are its chapter, and only a date makes it released', () => {
  const notes = notesOf(CHANGELOG, version);
  assert.deepEqual(notes, { releasedOn: '2026-12-01', text: '### Added\n\n- one' });
  assert.equal(notesOf(CHANGELOG, '0.0.1').releasedOn, null);
  assert.throws(() => notesOf(CHANGELOG, '9.9.9'), /no chapter "## 9\.9\.9 \(date\)"/);
  const own = readFileSync(`${ROOT}/CHANGELOG.md`, 'utf8');
  assert.match(notesOf(own, version).text, /^### Added/);
});

test('a tag that does not fit the tree makes no release', () => {
  const tree = { changelog: CHANGELOG, packageVersion: version };
  assert.equal(whyNotOf(`v${version}`, tree), null);
  assert.match(whyNotOf(version, tree) ?? '', /is not that of package\.json/);
  assert.match(whyNotOf('v9.9.9', { ...tree, packageVersion: '9.9.9' }) ?? '', /version\.ts has/);
  const undated = CHANGELOG.replace('2026-12-01', 'unreleased');
  assert.match(whyNotOf(`v${version}`, { ...tree, changelog: undated }) ?? '', /has no date/);
});

test('a release candidate sorts before its release, and its file keeps its name wherever it is put', () => {
  const debian = debianVersion('1.0.0-rc.1');
  assert.equal(debian, '1.0.0~rc.1');
  const architecture = 'amd64';
  assert.equal(debFile({ version: debian, architecture }), 'holdfast_1.0.0-rc.1_amd64.deb');
  assert.equal(debFile({ version: '1.0.0', architecture }), 'holdfast_1.0.0_amd64.deb');
});

function component(name: string) {
  const isDev = !name.includes('koffi');
  const properties = isDev ? [{ name: 'cdx:npm:package:development', value: 'true' }] : [];
  return { name, version: '1.0.0', 'bom-ref': `${name}@1.0.0`, properties };
}

const SHIPPED = ['koffi', '@koromix/koffi-linux-x64', '@koromix/koffi-linux-arm64', 'saxes'];
const bom: Bom = {
  serialNumber: 'urn:uuid:random',
  metadata: { timestamp: 'now', component: { ...component('pkg'), version } },
  components: [...SHIPPED, 'typescript', '@koromix/koffi-win32-x64'].map(component),
  dependencies: [
    { ref: 'pkg@1.0.0', dependsOn: ['koffi@1.0.0', 'typescript@1.0.0'] },
    { ref: 'typescript@1.0.0' },
  ],
};

test('the list of what is shipped has what is bundled, and nothing that only builders need', () => {
  const text = shippedBill(bom, ['saxes'], 1_700_000_000);
  assert.equal(shippedBill({ ...bom, serialNumber: 'x' }, ['saxes'], 1_700_000_000), text);
  const bill = JSON.parse(text);
  assert.deepEqual(
    bill.components.map(({ name }: { name: string }) => name),
    SHIPPED,
  );
  assert.deepEqual(bill.components.at(-1).properties, [{ name: 'holdfast:place', value: 'dist' }]);
  assert.deepEqual(bill.dependencies, [{ ref: 'pkg@1.0.0', dependsOn: ['koffi@1.0.0'] }]);
  assert.equal(bill.metadata.component.name, 'holdfast');
  assert.equal(bill.metadata.timestamp, '2023-11-14T22:13:20.000Z');
  assert.match(bill.serialNumber, /^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-a[0-9a-f]{3}-/);
  assert.throws(() => shippedBill(bom, ['uplot'], 0), /npm sbom does not know uplot/);
});

test('what is bundled is what NOTICE has', () => {
  assert.ok(bundledIn(ROOT).includes('saxes'));
});

test('the workflow only calls commands of this repository, with the least rights', () => {
  const workflow = readFileSync(`${ROOT}/.github/workflows/release.yml`, 'utf8');
  const { scripts } = JSON.parse(readFileSync(`${ROOT}/package.json`, 'utf8'));
  for (const [, name = ''] of workflow.matchAll(/npm run ([\w:]+)/g))
    assert.ok(scripts[name], name);
  assert.match(workflow, /run: bash \.ci\/run$/m);
  assert.match(workflow, /^permissions:\n {2}contents: read$/m);
  assert.match(workflow, /^ {4}needs: test$/m);
});
