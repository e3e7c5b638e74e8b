import { ERRNO } from '../../base/errno.ts';
import {
  createResource,
  deleteResource,
  formatRindex,
  lookupRindex,
  rebuildRindex,
  updateRindex,
} from '../../wire/sanlock/rindex-calls.ts';
import { atoi, rentryOption, rindexOption } from './command-line.ts';
import { type Action, type ClientContext, codeOf } from './context.ts';

/** Without a place on disk the C library does not call the daemon. */
function lacksPlace(context: ClientContext): boolean {
  const rindex = rindexOption(context.line);
  return rindex.lockspaceName === '' || rindex.path === '';
}

function finish(context: ClientContext, action: string, result: number): number {
  context.print(`${action} done ${result}\n`);
  return result;
}

export const formatAction: Action = async (context) => {
  if (lacksPlace(context)) return finish(context, 'format', -ERRNO.EINVAL);
  const call = formatRindex(rindexOption(context.line));
  return finish(context, 'format', codeOf(await context.client.call(call)));
};

export const rebuildAction: Action = async (context) => {
  if (lacksPlace(context)) return finish(context, 'rebuild', -ERRNO.EINVAL);
  const call = rebuildRindex(rindexOption(context.line));
  return finish(context, 'rebuild', codeOf(await context.client.call(call)));
};

export const createAction: Action = async (context) => {
  if (lacksPlace(context)) return finish(context, 'create_resource', -ERRNO.EINVAL);
  const { line } = context;
  const options = { maxHosts: atoi(line.words.m), numHosts: atoi(line.words.n) };
  const call = createResource(rindexOption(line), rentryOption(line), options);
  const answered = await context.client.call(call);
  finish(context, 'create_resource', codeOf(answered));
  if (answered.ok) context.print(`offset ${answered.value.offset}\n`);
  return codeOf(answered);
};

export const deleteAction: Action = async (context) => {
  if (lacksPlace(context)) return finish(context, 'delete_resource', -ERRNO.EINVAL);
  const call = deleteResource(rindexOption(context.line), rentryOption(context.line));
  return finish(context, 'delete_resource', codeOf(await context.client.call(call)));
};

export const lookupAction: Action = async (context) => {
  if (lacksPlace(context)) return finish(context, 'lookup', -ERRNO.EINVAL);
  const call = lookupRindex(rindexOption(context.line), rentryOption(context.line));
  const answered = await context.client.call(call);
  finish(context, 'lookup', codeOf(answered));
  if (answered.ok) {
    context.print(`name ${answered.value.name || '-'} offset ${answered.value.offset}\n`);
  }
  return codeOf(answered);
};

export const updateAction: Action = async (context) => {
  if (lacksPlace(context)) return finish(context, 'update', -ERRNO.EINVAL);
  const { line } = context;
  const change = line.words.z === undefined ? 'ADD' : 'REM';
  const call = updateRindex(rindexOption(line), rentryOption(line), change);
  return finish(context, 'update', codeOf(await context.client.call(call)));
};
