import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Client, newClient } from './state.ts';
import { takerOf } from './taker.ts';
import { Harness } from './testing/harness.ts';

const UUID = '6f1c1d1e-27a1-4b52-a1e7-0d2b9d8a4f10';

function client(of: Partial<Client>): Client {
  const process = new Harness().process(4711);
  return { ...newClient({ connection: 1, slot: 2, fd: 3, process }), pid: 4711, ...of };
}

test('what the disk says of a client: its process, and what it calls itself', () => {
  assert.deepEqual(takerOf(client({ ownerName: 'web' })), {
    ...{ pid: 4711, clientName: 'web', command: 'qemu-kvm', uuid: '' },
  });
});

test('the guest of libvirt is in the words of its killpath', () => {
  const killargs = `qemu:///system ${UUID} poweroff`;
  assert.equal(takerOf(client({ killargs })).uuid, UUID);
  assert.equal(takerOf(client({ killargs: `x${UUID.toUpperCase()}` })).uuid, '');
});

test('a process that the kernel does not show, or that has ended, has no name', () => {
  const unseen = takerOf(client({ process: null, pid: -1, ownerName: 'db' }));
  assert.deepEqual(unseen, { pid: 0, clientName: 'db', command: '', uuid: '' });
});
