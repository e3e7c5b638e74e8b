import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { retryIn, transportOf } from './device-facts.ts';

test('multipathd: for how long a map queues', () => {
  const text = 'mpatha 12 chk\nmpathb 40 sec\nmpathc on\nmpathd off\nmpathe -\nmpathf ?\n';
  const of = (name: string) => retryIn(text, { name, pollingS: 5 });
  assert.deepEqual(['mpatha', 'mpathb', 'mpathc', 'mpathd', 'mpathe', 'mpathf', 'mpath'].map(of), [
    60,
    40,
    'never',
    0,
    null,
    null,
    null,
  ]);
});

test('paths of iSCSI and Fibre Channel: when the kernel gives one up', () => {
  const sys = mkdtempSync(join(tmpdir(), 'holdfast-sys-'));
  const file = (path: string, text: string) => {
    mkdirSync(dirname(join(sys, path)), { recursive: true });
    writeFileSync(join(sys, path), text);
  };
  const disk = (name: string, device: string) => {
    mkdirSync(join(sys, 'devices', device), { recursive: true });
    mkdirSync(join(sys, 'class/block', name), { recursive: true });
    symlinkSync(join(sys, 'devices', device), join(sys, 'class/block', name, 'device'));
  };
  try {
    disk('sda', 'platform/host3/session1/target3:0:0/3:0:0:0');
    file('class/iscsi_session/session1/recovery_tmo', '120\n');
    disk('sdb', 'platform/host3/session2/target3:0:0/3:0:0:1');
    file('class/iscsi_session/session2/recovery_tmo', '-1\n');
    disk('sdc', 'pci/host1/rport-1:0-2/target1:0:0/1:0:0:0');
    file('class/fc_remote_ports/rport-1:0-2/fast_io_fail_tmo', '5\n');
    disk('sdd', 'pci/host1/rport-1:0-3/target1:0:0/1:0:0:1');
    file('class/fc_remote_ports/rport-1:0-3/fast_io_fail_tmo', 'off\n');
    file('class/fc_remote_ports/rport-1:0-3/dev_loss_tmo', '600\n');
    disk('sde', 'pci/ata1/host0/target0:0:0/0:0:0:0');
    const of = (name: string) => {
      const found = transportOf(name, ['lvm_vg'], sys);
      return found === null ? null : [found.name, found.failsAfterS];
    };
    assert.deepEqual(of('sda'), ['iSCSI session1', 120]);
    assert.deepEqual(of('sdb'), ['iSCSI session2', null]);
    assert.deepEqual(of('sdc'), ['rport-1:0-2', 5]);
    assert.deepEqual(of('sdd'), ['rport-1:0-3', 600]);
    assert.equal(of('sde'), null, 'a disk of this machine');
    assert.equal(of('sdz'), null);
  } finally {
    rmSync(sys, { recursive: true });
  }
});
