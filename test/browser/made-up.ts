import type { LvSeen, MemberSeen, Snapshot } from '../../src/inspect/snapshot/snapshot.ts';
import {
  holder,
  lockspace,
  lv,
  member,
  renewals,
  snapshot,
  vg,
} from '../../src/inspect/snapshot/testing/clusters.ts';

/** Hosts that a page can be shown of, without any disk. */

const GUEST = {
  path: '/var/lib/libvirt/sanlock/leases',
  offsetBytes: 0,
  isShared: false,
  isHeld: true,
  pid: 4711,
  command: 'qemu-system-x86_64',
} as const;

/** Three hosts, two VGs, and guests of libvirt. @param step looks after the first */
export function smallCluster(step = 0): Snapshot {
  const atS = step * 5;
  const nowS = 100_004 + atS;
  const age = (n: number) => (atS + 4 * n) % 20;
  const gammaDead = step >= 40;
  const members = (offset: number): readonly MemberSeen[] => [
    member(1, 'alpha', { ageS: age(offset) }),
    member(2, 'beta', { ageS: age(offset + 2), generation: 3 }),
    gammaDead
      ? member(3, 'gamma', { ageS: 150 + atS - 200, state: 'dead', generation: 2 })
      : member(3, 'gamma', { ageS: age(offset + 3), generation: 2 }),
  ];
  const lvs: readonly LvSeen[] = [
    { ...lv('data', [holder(1, 'alpha')]), isActiveHere: true, lockHere: 'ex' },
    lv('database', [holder(gammaDead ? 2 : 3, gammaDead ? 'beta' : 'gamma')]),
    { ...lv('images', [holder(1, 'alpha', 'sh'), holder(2, 'beta', 'sh')]), isActiveHere: true },
    lv('scratch', []),
    ...Array.from({ length: 40 }, (_, n) => lv(`vm${n}-disk0`, n % 5 === 4 ? [] : [vmHolder(n)])),
  ];
  const latest = nowS - age(0);
  return snapshot(
    {
      lockspaces: [
        lockspace('lvm_vg0', {
          ageS: age(0),
          members: members(0),
          renewals: renewals(160, latest),
          leases: [{ ...GUEST, name: 'uuid-data', pid: 703, command: 'lvmlockd' }],
        }),
        lockspace('lvm_backup', { ageS: age(1), members: members(1), renewals: slow(latest) }),
        lockspace('guests', {
          ageS: age(2),
          path: '/var/lib/libvirt/sanlock/__LIBVIRT__DISKS__',
          members: members(2).slice(0, 2),
          renewals: renewals(90, latest - 4),
          leases: [{ ...GUEST, name: 'b4c1b0a0f1d94f3e8f3c' }],
        }),
      ],
      vgs: [
        vg('vg0', lvs),
        vg('backup', [lv('weekly', [holder(2, 'beta')]), lv('monthly', [])], {
          hasGlobalLock: false,
        }),
      ],
    },
    atS,
  );
}

function vmHolder(n: number) {
  const names = ['alpha', 'beta', 'gamma'];
  return holder((n % 3) + 1, names[n % 3] ?? '');
}

/** A path that stood still for a while. */
function slow(lastS: number) {
  return renewals(140, lastS).map((one, n) =>
    n > 95 && n < 104 ? { ...one, readMs: 300 + ((n * 37) % 11) * 60, timeouts: 1 } : one,
  );
}

/** As large as it gets: @param step looks after the first: a tenth of all renews, some LVs move */
export function largeCluster(step = 0, hosts = 2000, leases = 5000): Snapshot {
  const atS = step * 5;
  const members = Array.from({ length: hosts }, (_, n): MemberSeen => {
    const state = n % 400 === 7 ? 'dead' : n % 500 === 11 ? 'fail' : 'live';
    return member(n + 1, `node-${n + 1}.example.net`, {
      state,
      generation: 1 + (n % 7),
      ageS: state === 'live' ? (n + step * 5) % 20 : state === 'fail' ? 95 + atS : 4000 + atS,
    });
  });
  const lvs = Array.from({ length: leases }, (_, n): LvSeen => {
    const at = ((n + (n % 50 === 0 ? step : 0)) % hosts) + 1;
    return lv(`guest-${n}`, n % 6 === 5 ? [] : [holder(at, `node-${at}.example.net`)]);
  });
  return snapshot(
    {
      lockspaces: [lockspace('lvm_large', { members, ageS: atS % 20 })],
      vgs: [vg('large', lvs)],
    },
    atS,
  );
}

/** Names that a page, a label or a terminal would be harmed by, if they came through as they are. */
export const HOSTILE_NAMES: readonly string[] = [
  '<img src=x onerror="globalThis.harmed=1">',
  '<script>globalThis.harmed=1</script>',
  '"><svg/onload=globalThis.harmed=1>',
  "'-globalThis.harmed=1-'",
  'javascript:globalThis.harmed=1',
  'vm\u202egnp.exe\u202c',
  '\u2066\u2067isolate',
  'two\nlines\r\u2028three',
  '\u001b[2J\u001b]0;title\u0007',
  '\u0000nul\u0001',
  'zero\u200bwidth\ufeff',
  '{{7*7}}<%= 7*7 %>',
  '../../../etc/passwd',
  'a"b\\c',
  '\ufffd'.repeat(48),
  `long${'e\u0301'.repeat(400)}`,
  '__proto__',
  'constructor',
  'half\ud800',
];

/** Everything that has a name has one of those. */
export function hostileCluster(): Snapshot {
  const members = HOSTILE_NAMES.map((name, n) => member(n + 1, name));
  const lvs = HOSTILE_NAMES.map((name, n) => ({
    ...lv(name, [holder(n + 1, name)]),
    uuid: `${n} ${name}`,
  }));
  const lockspaces = HOSTILE_NAMES.map((name, n) =>
    lockspace(name, {
      path: `/dev/${name}`,
      members: n === 0 ? members : [member(1, name)],
      leases: [{ ...GUEST, name, command: name, path: name }],
    }),
  );
  return snapshot({
    host: { name: HOSTILE_NAMES[0] ?? '', hostId: 1 },
    lockspaces,
    vgs: HOSTILE_NAMES.map((name, n) => ({
      ...vg(name, n === 0 ? lvs : []),
      uuid: `vg ${n}`,
      trouble: 'killed' as const,
    })),
    unread: HOSTILE_NAMES.map((of) => ({ what: 'lease' as const, of, why: `${of} failed` })),
  });
}
