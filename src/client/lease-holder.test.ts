import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fail, ok } from '../base/result.ts';
import { makeFailure } from '../wire/sanlock/failure.ts';
import { STATE_TYPES } from '../wire/sanlock/socket.ts';
import type { StateRecord } from '../wire/sanlock/types.ts';
import { type Ask, holderOf } from './lease-holder.ts';

const RESOURCE = {
  ...{ lockspaceName: 'LS', name: 'lease', lver: 0n, flags: 0 },
  disks: [{ path: '/lease', offset: 0n }],
};
const FAILURE = makeFailure({ code: -5, outcome: 'refused', call: 'x', socketPath: '' });

/** Values by the name of the call; a call without one is refused. */
function answers(values: Readonly<Record<string, unknown>>): Ask {
  return <T>(call: { readonly name: string }) =>
    Promise.resolve(call.name in values ? ok(values[call.name] as T) : fail(FAILURE));
}

function record(of: Partial<StateRecord>): StateRecord {
  const empty = { flags: 0, data32: 0, data64: 0n, name: '', text: '', lockspace: null };
  return { type: STATE_TYPES.HOST, ...empty, resource: null, ...of };
}

const owner = { hostId: 2n, generation: 3n, timestampS: 100n };
const HERE = { hostId: 1, nowS: 5020.4 };
const OWNERS = { read_resource_owners: { resource: RESOURCE, hosts: [owner] } };

test('another host, by its name, and since when', async () => {
  const ask = answers({
    ...OWNERS,
    host_status: [record({ data32: 2, text: 'last_live=5000 owner_id=2 owner_name=big node' })],
    get_hosts: [{ ...owner, timestampS: 160n }],
  });
  assert.deepEqual(await holderOf(ask, RESOURCE, HERE), {
    ...{ kind: 'host', hostId: 2, hostName: 'big node', heldForS: 80 },
  });
  const unknown = { kind: 'host', hostId: 2, hostName: null, heldForS: null };
  assert.deepEqual(await holderOf(answers(OWNERS), RESOURCE, HERE), unknown);
  const otherLife = answers({ ...OWNERS, get_hosts: [{ ...owner, generation: 4n }] });
  assert.deepEqual(
    await holderOf(otherLife, RESOURCE, HERE),
    unknown,
    'of another life of that host',
  );
});

test('a process of this host; nobody', async () => {
  const lease = record({ type: STATE_TYPES.RESOURCE, data32: 77, resource: RESOURCE });
  const client = record({ type: STATE_TYPES.CLIENT, data32: 77, name: 'web' });
  const own = { read_resource_owners: { resource: RESOURCE, hosts: [{ ...owner, hostId: 1n }] } };
  const here = { kind: 'here', pid: 77, name: 'web' };
  assert.deepEqual(
    await holderOf(answers({ ...own, status: [client, lease] }), RESOURCE, HERE),
    here,
  );
  assert.deepEqual(await holderOf(answers({ status: [lease] }), RESOURCE, HERE), {
    ...here,
    name: '',
  });
  const other = record({ ...lease, resource: { ...RESOURCE, name: 'other' } });
  assert.equal(await holderOf(answers({ ...own, status: [other] }), RESOURCE, HERE), null);
  assert.equal(await holderOf(answers({}), RESOURCE, HERE), null);
});
