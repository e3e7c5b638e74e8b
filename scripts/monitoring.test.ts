import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { METRICS } from '../src/web/metrics.ts';

/** The alerts and the dashboard of `packaging` ask for metrics that there are. */

const ROOT = process.env['HOLDFAST_ROOT'] ?? '.';
const ALERTS = `${ROOT}/packaging/prometheus/alerts.yml`;
const DASHBOARD = `${ROOT}/packaging/grafana/holdfast.json`;

/** Names and the labels that they are asked for, as `name{label="…"}`. */
function askedIn(text: string): readonly (readonly [name: string, labels: readonly string[]])[] {
  return [...text.matchAll(/\b(holdfast_\w+)(?:\{([^}]*)\})?/g)].map(
    ([, name = '', labels = '']) => [
      name.replace(/_(bucket|sum|count)$/, ''),
      [...labels.matchAll(/(\w+)[=!]/g)].map(([, label = '']) => label),
    ],
  );
}

/** What Prometheus adds to every series. */
const ADDED = ['instance', 'job'];

for (const file of [ALERTS, DASHBOARD]) {
  test(`${file}: metrics and labels that there are`, () => {
    const text = readFileSync(file, 'utf8').replaceAll('\\"', '"');
    const asked = askedIn(text);
    assert.ok(asked.length >= 10);
    for (const [name, labels] of asked) {
      const metric = METRICS[name];
      assert.ok(metric !== undefined, name);
      for (const label of labels) assert.ok([...metric.labels, ...ADDED].includes(label), name);
    }
  });
}

test('every alert says what is so and what to do, and docs/operations/metrics.md is its source', () => {
  const rules = readFileSync(ALERTS, 'utf8').split('- alert: ').slice(1);
  assert.ok(rules.length >= 10);
  for (const rule of rules) {
    for (const part of ['expr', 'for', 'summary', 'description']) {
      assert.match(rule, new RegExp(`^ +${part}: .+$`, 'm'), rule);
    }
    assert.match(rule, /labels: \{ severity: (critical|warning) \}/);
  }
});

test('the dashboard is what Grafana takes: panels with a place, a source and a question', () => {
  const { panels, uid } = JSON.parse(readFileSync(DASHBOARD, 'utf8')) as {
    readonly uid: string;
    readonly panels: readonly {
      readonly id: number;
      readonly title: string;
      readonly gridPos: Readonly<Record<'x' | 'y' | 'w' | 'h', number>>;
      readonly targets: readonly { readonly expr: string; readonly refId: string }[];
    }[];
  };
  assert.equal(uid, 'holdfast');
  assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length);
  for (const { title, gridPos, targets } of panels) {
    assert.ok(gridPos.x + gridPos.w <= 24, title);
    assert.ok(targets.length > 0, title);
  }
});

const PROMTOOL = process.env['HOLDFAST_PROMTOOL'] ?? '/usr/bin/promtool';
const noPromtool = {
  skip: existsSync(PROMTOOL) ? false : 'promtool is not installed (Debian package prometheus)',
};

test('Prometheus takes the alerts, and they fire when they must', noPromtool, () => {
  for (const args of [
    ['check', 'rules', ALERTS],
    ['test', 'rules', ALERTS.replace(/\.yml$/, '.test.yml')],
  ]) {
    const { status, stdout, stderr } = spawnSync(PROMTOOL, args, {
      encoding: 'utf8',
      timeout: 60_000,
    });
    assert.equal(status, 0, `${stdout}${stderr}`);
  }
});

/** Expressions of the dashboard as rules, so that promtool reads them. */
test('Prometheus takes what the dashboard asks', noPromtool, () => {
  const { panels } = JSON.parse(readFileSync(DASHBOARD, 'utf8')) as {
    readonly panels: readonly { readonly targets: readonly { readonly expr: string }[] }[];
  };
  const questions = panels.flatMap(({ targets }) => targets.map(({ expr }) => expr));
  const rules = questions.map((expr, n) => ({
    record: `dashboard:${n}`,
    expr: expr.replaceAll('$__rate_interval', '5m').replace(/\$\w+/g, '.+'),
  }));
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-dashboard-'));
  try {
    const file = join(folder, 'rules.yml');
    writeFileSync(file, JSON.stringify({ groups: [{ name: 'dashboard', rules }] })); // it is YAML
    const args = ['check', 'rules', file];
    const ran = spawnSync(PROMTOOL, args, { encoding: 'utf8', timeout: 60_000 });
    assert.equal(ran.status, 0, `${ran.stdout}${ran.stderr}`);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
