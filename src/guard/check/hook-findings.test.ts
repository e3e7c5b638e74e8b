import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hookScript } from '../hook-script.ts';
import type { FileSeen } from '../install-plan.ts';
import { type HookFacts, hookFindings } from './hook-findings.ts';

const script = hookScript({ node: '/n', hook: '/h', socket: '/s', nodeArguments: [] });
const TEXT = script.ok ? script.value : '';
const HOOK = { kind: 'file', text: TEXT, mode: 0o755, uid: 0 } as const;
const LIBVIRTD = { program: 'libvirtd', pid: 7, startedMs: 1_000_000, wasTold: false };
const FACTS: HookFacts = {
  ...{ path: '/hook', hook: HOOK, changedMs: 900_000, wanted: TEXT, daemons: [LIBVIRTD] },
};

function kinds(facts: Partial<HookFacts>): readonly string[] {
  return hookFindings({ ...FACTS, ...facts }).map(({ kind, weight }) => `${weight} ${kind}`);
}

test('a hook that libvirt knows', () => {
  assert.deepEqual(kinds({}), []);
  assert.deepEqual(kinds({ daemons: [] }), []);
});

test('no hook, and a program of somebody else in its place', () => {
  assert.deepEqual(kinds({ hook: { kind: 'absent' }, changedMs: null }), ['problem hookAbsent']);
  assert.deepEqual(kinds({ hook: { kind: 'other' } }), ['problem hookForeign']);
  const foreign: FileSeen = { ...HOOK, text: '#!/bin/sh\nexit 0\n' };
  assert.deepEqual(kinds({ hook: foreign }), ['problem hookForeign']);
});

test('a hook that does not run, may be changed, or is old', () => {
  const of = (hook: Partial<typeof HOOK> | { mode: number } | { uid: number } | { text: string }) =>
    kinds({ hook: { ...HOOK, ...hook } });
  assert.deepEqual(of({ mode: 0o644 }), ['problem hookNotExecutable']);
  assert.deepEqual(of({ mode: 0o775 }), ['problem hookWritable']);
  assert.deepEqual(of({ uid: 1000 }), ['problem hookWritable']);
  assert.deepEqual(of({ mode: 0o700 }), ['caution hookOutdated']);
  assert.deepEqual(of({ text: `${TEXT}# more\n` }), ['caution hookOutdated']);
  assert.deepEqual(kinds({ wanted: null }), ['caution hookOutdated']);
});

test('a libvirtd from before the hook, which nobody told', () => {
  const changedMs = LIBVIRTD.startedMs + 5000;
  assert.deepEqual(kinds({ changedMs }), ['caution libvirtNotTold']);
  assert.deepEqual(kinds({ changedMs, daemons: [{ ...LIBVIRTD, wasTold: true }] }), []);
  assert.deepEqual(kinds({ changedMs, daemons: [{ ...LIBVIRTD, startedMs: null }] }), []);
  assert.deepEqual(kinds({ changedMs: LIBVIRTD.startedMs + 1000 }), []);
});
