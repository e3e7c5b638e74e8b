import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Clock } from '../ports/clock.ts';
import type { Disk, DiskReply, Disks, LateEnd } from '../ports/disk.ts';
import type { Log } from '../ports/log.ts';
import { type Device, LeaseDevices } from './lease-devices.ts';

const clock: Clock = { nowMs: () => 0, wallMs: () => 0, after: () => ({ cancel: () => {} }) };

const QUIET: Log = { error: () => {}, warn: () => {}, info: () => {}, debug: () => {} };

class CountedDisk implements Disk {
  closed = false;
  readonly sent: { answer: (reply: DiskReply) => void; endedLate: (end: LateEnd) => void }[] = [];
  read(): void {
    assert.equal(this.closed, false);
  }
  write(
    _at: unknown,
    _timeoutMs: number,
    answer: (reply: DiskReply) => void,
    endedLate: (end: LateEnd) => void = () => {},
  ): void {
    assert.equal(this.closed, false);
    this.sent.push({ answer, endedLate });
  }
  close(): void {
    this.closed = true;
  }
}

function world() {
  const opened: CountedDisk[] = [];
  const disks: Disks = {
    open: (_path, _timeoutMs, answer) => {
      const disk = new CountedDisk();
      opened.push(disk);
      answer({ ok: true, disk, deviceId: 'x', deviceSectorSize: 512 });
    },
  };
  const devices = new LeaseDevices(disks, clock, QUIET);
  const open = (): Device => {
    let got: Device | null = null;
    devices.open('/dev/x', 1000, (answer) => {
      if (answer.ok) got = answer.device;
    });
    assert.ok(got !== null);
    return got;
  };
  return { opened, devices, open };
}

test('a device that one user forgets stays open for the others, and is closed by the last', () => {
  const { opened, devices, open } = world();
  const lockspace = open(); // as long as the lockspace is joined
  const resource = open(); //  the same device, for one command
  assert.equal(lockspace, resource);
  devices.leave(resource, { forget: true });
  assert.equal(opened[0]?.closed, false);
  const anew = open();
  assert.equal(opened.length, 2);
  devices.leave(lockspace, { forget: false });
  assert.equal(opened[0]?.closed, true);
  devices.leave(anew, { forget: false });
  assert.equal(opened[1]?.closed, false, 'a good device is kept for the next command');
});

test('a write through a new descriptor waits for one still under way through the old', () => {
  const { opened, devices, open } = world();
  const bytes = new Uint8Array(512);
  const first = open();
  first.disk.write({ offset: 0, bytes }, 1000, () => {});
  devices.leave(first, { forget: true }); // another command failed; this write is still under way
  const second = open();
  assert.notEqual(first, second);
  second.disk.write({ offset: 0, bytes }, 1000, () => {});
  assert.equal(opened[1]?.sent.length, 0);
  opened[0]?.sent[0]?.answer({ outcome: 'unknown' });
  assert.equal(opened[1]?.sent.length, 0);
  opened[0]?.sent[0]?.endedLate('landed');
  assert.equal(opened[1]?.sent.length, 1);
});
