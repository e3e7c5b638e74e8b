import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cleanupFindings } from './cleanup-findings.ts';

test('a job that removes lease files, and the one that Debian ships, which ends before', () => {
  const of = (text: string) => cleanupFindings([{ path: '/etc/cron.weekly/x', text }]);
  const job = '/usr/sbin/virt-sanlock-cleanup -q\nexit 0\n';
  assert.equal(of(`#!/bin/sh\n\n${job}`)[0]?.kind, 'cleanupRuns');
  assert.deepEqual(of(`#!/bin/sh\n\n# Disabled by default\nexit 0\n\n${job}`), []);
  assert.deepEqual(of('#!/bin/sh\n# virt-sanlock-cleanup\n'), []);
  assert.deepEqual(cleanupFindings([]), []);
});
