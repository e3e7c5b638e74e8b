import { type CommandPage, JSON_OPTION } from '../../frame/page.ts';

const AS_ROOT = 'Run it as root.';
const FINDINGS_EXITS = {
  0: 'all is well',
  1: 'something needs attention',
  2: 'there is no answer, or wrong words',
} as const;
const DONE_EXITS = { 0: 'done', 1: 'not done: the reason is printed', 2: 'wrong words' } as const;
const SEE_ALSO = ['holdfast-guard.conf(5)', 'holdfast-who(8)', 'sanlock(8)'] as const;

export const INSTALL_PAGE = {
  name: 'holdfast guard install',
  about: 'has libvirt ask the guard before it starts a guest',
  forms: [''],
  options: [{ name: 'dry-run', about: 'says what it would do, and does nothing' }, JSON_OPTION],
  text: [
    'By a hook in /etc/libvirt/hooks/qemu.d. It writes /etc/holdfast/guard.conf if there is none, and ' +
      `says what remains to be done. ${AS_ROOT}`,
  ],
  examples: [
    { line: 'holdfast guard install --dry-run', about: 'what would be changed on this host' },
    { line: 'holdfast guard install', about: 'the hook, the configuration, and what remains' },
  ],
  exits: DONE_EXITS,
  schema: 'holdfast.guard-install/1',
} as const satisfies CommandPage;

export const STATUS_PAGE = {
  name: 'holdfast guard status',
  about: 'the guests that are guarded, and their leases',
  forms: [''],
  options: [JSON_OPTION],
  text: [AS_ROOT],
  examples: [{ line: 'holdfast guard status', about: 'guests, their disks and the leases held' }],
  exits: FINDINGS_EXITS,
  schema: 'holdfast.guard-status/1',
} as const satisfies CommandPage;

export const CHECK_PAGE = {
  name: 'holdfast guard check',
  about: 'what is wrong with this host, or with the protection of one guest, and the cure',
  forms: ['[GUEST]'],
  operands: 'guest',
  counts: { least: 0, most: 1 },
  options: [JSON_OPTION],
  text: [AS_ROOT],
  examples: [
    { line: 'holdfast guard check', about: 'this host' },
    { line: 'holdfast guard check shop', about: 'each disk of the guest shop, and who holds it' },
  ],
  exits: FINDINGS_EXITS,
  schema: 'holdfast.guard-check/1',
} as const satisfies CommandPage;

export const UNINSTALL_PAGE = {
  name: 'holdfast guard uninstall',
  about: 'takes the hook away, if no guest needs it',
  forms: [''],
  options: [
    { name: 'force', about: 'also while guests need it: they go on without protection' },
    JSON_OPTION,
  ],
  text: [`The configuration and the lease files stay: other hosts use them. ${AS_ROOT}`],
  examples: [{ line: 'holdfast guard uninstall', about: 'libvirt starts guests without it again' }],
  exits: DONE_EXITS,
  schema: 'holdfast.guard-uninstall/1',
} as const satisfies CommandPage;

export const SERVE_PAGE = {
  name: 'holdfast guard serve',
  about: 'the service itself, in the foreground: holdfast-guard.service runs it',
  forms: [''],
  options: [],
  text: ['What it needs is in /etc/holdfast/guard.conf.'],
  examples: [{ line: 'holdfast guard serve', about: 'as holdfast-guard.service has it' }],
  exits: { 0: 'its orderly end', 1: 'it cannot serve, and its log says why', 2: 'wrong words' },
} as const satisfies CommandPage;

export const GUARD_PAGE = {
  name: 'holdfast guard',
  about: 'leases for the disks of libvirt guests of any type: install, status, check, uninstall',
  forms: ['install', 'status', 'check [GUEST]', 'uninstall', 'serve'],
  options: [],
  text: [
    "Leases for the disks of libvirt's guests, also for those that libvirt's sanlock plugin leaves " +
      'without one (rbd, nbd, iSCSI, gluster): no guest starts whose disk is in use on another host.',
  ],
  examples: [
    { line: 'holdfast guard install', about: 'first, on every host' },
    { line: 'holdfast guard check shop', about: 'each disk of the guest shop, and who holds it' },
  ],
  exits: {
    0: 'done, or all is well',
    1: 'not done, or something needs attention',
    2: 'there is no answer, or wrong words',
  },
  seeAlso: SEE_ALSO,
  commands: [INSTALL_PAGE, STATUS_PAGE, CHECK_PAGE, UNINSTALL_PAGE, SERVE_PAGE],
} as const satisfies CommandPage;
