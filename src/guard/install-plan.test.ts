import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hookScript } from './hook-script.ts';
import {
  type FileSeen,
  type InstallFacts,
  planInstall,
  planUninstall,
  type UninstallFacts,
} from './install-plan.ts';

function script(hook: string): string {
  const text = hookScript({ node: '/n', hook, socket: '/s', nodeArguments: [] });
  assert.ok(text.ok);
  return text.value;
}

const WANTED = script('/h');
const OURS: FileSeen = { kind: 'file', text: WANTED, mode: 0o755, uid: 0 };
const FOREIGN: FileSeen = { ...OURS, text: '#!/bin/sh\nexit 0\n' };
const LIBVIRTD = { program: 'libvirtd', pid: 7 };
const FACTS: InstallFacts = {
  ...{ hasLibvirt: true, hookPath: '/hook', hook: { kind: 'absent' }, wanted: WANTED },
  ...{ hasConf: false, daemons: [LIBVIRTD] },
};

function install(facts: Partial<InstallFacts>): unknown {
  const plan = planInstall({ ...FACTS, ...facts });
  return plan.ok ? plan.value.map((step) => step.kind) : plan.error;
}

test('the configuration is there before the hook, and libvirt hears of it last', () => {
  assert.deepEqual(install({}), ['writeConf', 'writeHook', 'tellLibvirt']);
  assert.deepEqual(install({ hasConf: true }), ['keepConf', 'writeHook', 'tellLibvirt']);
  assert.deepEqual(install({ daemons: [] }), ['writeConf', 'writeHook']);
});

test('a hook of ours is kept if it is the same, and else replaced', () => {
  const kept = ['writeConf', 'keepHook', 'tellLibvirt'];
  assert.deepEqual(install({ hook: OURS }), kept);
  const other: FileSeen[] = [
    { ...OURS, text: script('/older') },
    { ...OURS, mode: 0o644 },
    { ...OURS, uid: 1000 },
  ];
  for (const hook of other) {
    const plan = planInstall({ ...FACTS, hook });
    assert.ok(plan.ok);
    assert.deepEqual(plan.value[1], { kind: 'writeHook', replaces: true });
  }
});

test('what is not ours stays', () => {
  assert.match(`${install({ hasLibvirt: false })}`, /^libvirt is not installed here/);
  assert.match(`${install({ hook: FOREIGN })}`, /^\/hook is a program that is not the hook of the/);
  assert.match(
    `${install({ hook: { kind: 'other' } })}`,
    /^\/hook is no file, and so not the hook/,
  );
});

const REPORT = { hostId: 1, leaseDir: '/l', lockspaceCode: 0, guests: [] };
const GUEST = {
  ...{ uuid: '1', name: 'web', keeperPid: 1, qemuPid: 2, isRunning: true, migration: null },
  ...{ waitsFor: null, leases: [] },
};

function uninstall(facts: Partial<UninstallFacts>): unknown {
  const all = { hookPath: '/hook', hook: OURS, report: REPORT, running: [], force: false };
  const plan = planUninstall({ ...all, ...facts });
  return plan.ok ? plan.value : plan.error;
}

test('the hook is taken away while no guest needs it', () => {
  assert.equal(uninstall({}), true);
  assert.equal(uninstall({ hook: { kind: 'absent' } }), false);
  assert.match(`${uninstall({ hook: FOREIGN })}`, /not the hook of the guard/);
  const guests = [GUEST];
  assert.match(`${uninstall({ report: { ...REPORT, guests } })}`, /^guest web runs on this host: /);
  assert.equal(uninstall({ report: { ...REPORT, guests }, force: true }), true);
  assert.equal(uninstall({ running: ['web'] }), true, 'the guard knows which it guards');
});

test('without an answer of the guard, what libvirt runs counts', () => {
  assert.equal(uninstall({ report: null }), true);
  const running = ['a', 'b', 'c', 'd', 'e', 'f', 'g'];
  assert.match(
    `${uninstall({ report: null, running })}`,
    /^the guard service does not answer, and guests a, b, c, d, e, and 2 more run on this host/,
  );
});
