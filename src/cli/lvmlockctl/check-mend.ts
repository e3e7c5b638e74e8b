import { unreachable } from '../../base/assert.ts';
import { textToName } from '../../base/bytes.ts';
import type { LvmlockdSession } from '../../client/lvmlockd-session.ts';
import type { Mending } from '../../inspect/leases/vg-leases.ts';
import { formatRequest, numberOf, textOf } from '../../wire/lvmlockd/libdaemon.ts';
import { LD_RESULT, resultName } from '../../wire/lvmlockd/numbers.ts';

/** Has lvmlockd mend one slot, under the VG lock of the session. */

const ANSWER_MS = 60_000;

interface Mended {
  readonly isDone: boolean;
  readonly text: string;
}

export interface MendingPlace {
  readonly session: LvmlockdSession;
  readonly vgName: string;
  readonly areaBytes: number;
  readonly pid: number;
}

export async function mend(place: MendingPlace, mending: Mending): Promise<Mended> {
  switch (mending.kind) {
    case 'free':
      return said(await ask(place, 'free_lv', lvFields(mending)), 'the slot is free now');
    case 'take':
      return await take(place, mending);
    case 'rewrite':
      return await rewrite(place, mending);
    default:
      return unreachable(mending);
  }
}

/** The search for a free slot begins in that very slot. */
async function take(
  place: MendingPlace,
  mending: Extract<Mending, { kind: 'take' }>,
): Promise<Mended> {
  const { lvUuid, offset } = mending;
  const before = `1.0.0:${offset - place.areaBytes}`;
  const fields = [...lvFields(mending).slice(0, 2), ['prev_lv_args', before]] as const;
  const given = await ask(place, 'init_lv', fields);
  if (given.result !== 0) return said(given, '');
  if (given.lvLockArgs === `1.0.0:${offset}`) return said(given, 'the LV has its lease again');
  const other = Number(given.lvLockArgs.split(':')[1]);
  await ask(place, 'free_lv', lvFields({ lvUuid, offset: other }));
  return { isDone: false, text: `not mended: that slot is not free, ${given.lvLockArgs} is` };
}

async function rewrite(
  place: MendingPlace,
  mending: Extract<Mending, { kind: 'rewrite' }>,
): Promise<Mended> {
  const { scope, thenFree } = mending;
  const fields = scope === 'lv' ? lvFields(mending) : [];
  const request = `lock_${scope}`;
  const locked = await ask(place, request, [...fields, ['mode', 'ex'], ['opts', 'repair']]);
  if (locked.result !== 0 && locked.result !== LD_RESULT.ALREADY) return said(locked, '');
  // The VG lock is the session's own.
  if (scope !== 'vg') await ask(place, request, [...fields, ['mode', 'un'], ['opts', 'none']]);
  const freed = thenFree ? await ask(place, 'free_lv', lvFields(mending)) : locked;
  return freed.result === LD_RESULT.ALREADY
    ? { isDone: true, text: 'locked: nothing is wrong with it now' }
    : said(freed, 'the lease was written anew');
}

type Field = readonly [string, string | number];

function lvFields(of: { readonly lvUuid: string; readonly offset: number }): readonly Field[] {
  return [
    ['lv_name', 'check'],
    ['lv_uuid', of.lvUuid],
    ['lv_lock_args', `1.0.0:${of.offset}`],
  ];
}

interface Answer {
  readonly result: number;
  readonly lvLockArgs: string;
  readonly fault: string;
}

async function ask(
  { session, vgName, pid }: MendingPlace,
  request: string,
  fields: readonly Field[],
): Promise<Answer> {
  const text = formatRequest(request, [
    ['cmd', 'lvmlockctl'],
    ['pid', pid],
    // lock_gl never names a VG
    ...(request === 'lock_gl' ? [] : ([['vg_name', textToName(vgName)]] as const)),
    ['vg_lock_type', 'sanlock'],
    ['vg_lock_args', '1.0.0:lvmlock'],
    ...fields,
  ]);
  const reply = await session.ask(text, ANSWER_MS);
  if (!reply.ok) return { result: LD_RESULT.ELOCKD, lvLockArgs: '', fault: reply.error };
  const result = numberOf(reply.value, 'op_result', LD_RESULT.ELOCKD);
  return { result, lvLockArgs: textOf(reply.value, 'lv_lock_args'), fault: '' };
}

function said({ result, fault }: Answer, done: string): Mended {
  if (result === 0) return { isDone: true, text: done };
  if (fault !== '') return { isDone: false, text: `not mended: ${fault}` };
  const reason = REASONS.get(result) ?? '';
  return { isDone: false, text: `not mended: ${resultName(result)} (${result})${reason}` };
}

const REASONS: ReadonlyMap<number, string> = new Map([
  [LD_RESULT.BUSY, ': a host holds the lease'],
  [
    LD_RESULT.ELOCKREPAIR,
    ': other hosts may hold it; stop the VG on all of them (vgchange --lockstop), then repeat',
  ],
]);
