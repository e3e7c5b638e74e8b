import type { ManPage } from '../frame/man.ts';
import type { Row } from '../frame/rows.ts';
import {
  CLIENT_FORMS,
  COMMANDS,
  DAEMON_ROWS,
  DIRECT_FORMS,
  DIRECT_OPTIONS,
  LIMITS,
  STRING_PARTS,
  STRINGS,
} from './usage.ts';

/** What each action of the client does; the help has only what it takes. */
const CLIENT: Readonly<Record<string, string>> = {
  status: 'The lockspaces, programs and leases of this host; -D all that is known of them.',
  gets: 'The lockspaces of this host; -h 1 with their hosts.',
  host_status: 'The hosts of a lockspace, or of all, with the time of their last renewal.',
  renewal: 'The last renewals of a lockspace, with how long the disk took.',
  set_event: 'Sends an event to another host of the lockspace, over the disk.',
  set_host: 'Declares a host of the lockspace dead, for a fencing system that has seen it die.',
  set_config: 'Keeps a lockspace while a program (-u) or orphans (-O) use it.',
  log_dump:
    'The log that the daemon keeps in memory. The exit status is 1, as that of the original.',
  shutdown: 'The daemon ends if nothing is in use; -f 1: it stops what uses it.',
  init: 'Makes a lockspace, or a lease, on the disk; whatever was there is lost.',
  read: 'What a lockspace or lease on the disk says of itself; -h 1 with its owners.',
  align: 'The size of a lease area on that disk. The exit status is 1, as that of the original.',
  add_lockspace: 'This host joins a lockspace.',
  inq_lockspace: 'Whether this host is in a lockspace.',
  rem_lockspace: 'This host leaves a lockspace; programs with leases in it are stopped.',
  command: 'Runs a program that has the leases as long as it lives.',
  acquire: 'Takes leases for a registered program.',
  convert: 'Makes the lease of a registered program shared, or exclusive.',
  release: 'Gives leases of a registered program back.',
  inquire: 'The leases of a registered program.',
  request: 'Asks the holder of a lease, over the disk, to give it up.',
  examine: 'The daemon looks for such requests now.',
  format: 'Makes an index of resource names on the disk.',
  create: 'Makes a lease with that name, in the next free place of the index.',
  delete: 'Takes a lease out of the index.',
  lookup: 'Where the lease of that name is; without a name: the next free place.',
  update: 'Sets a name of the index, or with -z 1 clears it, and touches no lease.',
  rebuild: 'Makes the index anew from the leases that are there.',
  version: 'The versions of this program and of the daemon.',
};

const DIRECT: Readonly<Record<string, string>> = {
  init: 'As the action of the client.',
  read_leader: 'The record of a lockspace or lease, field by field.',
  dump: 'A line for each lease and each host that is found on the disk; -f shows more of each.',
  next_free: 'The first place behind the leases on the disk.',
  'acquire | release': 'Takes or gives back a lease, as that host.',
  'acquire_id | renew_id | release_id': 'Joins, renews or leaves a lockspace, as that host.',
  format: 'As the action of the client.',
  lookup: 'As the action of the client.',
  update: 'As the action of the client.',
  rebuild: 'As the action of the client.',
};

function actions(
  forms: readonly string[],
  about: Readonly<Record<string, string>>,
): readonly Row[] {
  return forms.map((form) => [form, about[actionOf(form)] ?? '']);
}

/** `acquire | release -r RESOURCE` are two. */
function actionOf(form: string): string {
  return /^[a-z_]+(?: \| [a-z_]+)*/.exec(form)?.[0] ?? '';
}

const DESCRIPTION = [
  'sanlock keeps leases on disks that several hosts share: a lease belongs to one host at a time, or ' +
    'to several shared. Each host renews a lease of its own in every lockspace that it is in, and the ' +
    'others see by it that it lives. Whoever stops renewing loses what it had after 8 io timeouts and ' +
    'a minute, and not before its programs were stopped or its watchdog has reset it.',
  'It takes the place of sanlock 3.8.5: command line, socket, library and disks are the same. Messages ' +
    'are on standard output, as there; of a failure standard error has a sentence with the cause and ' +
    'the remedy.',
];

export const SANLOCK_MAN: ManPage = {
  name: 'sanlock',
  section: 8,
  about: 'leases on shared storage',
  synopsis: [
    'sanlock daemon [options]',
    'sanlock [client] ACTION [options]',
    'sanlock direct ACTION [options]',
    'sanlock help | version',
  ],
  sections: [
    { title: 'DESCRIPTION', parts: [...DESCRIPTION, { rows: COMMANDS }] },
    {
      title: 'OPTIONS OF THE DAEMON',
      parts: [
        'An option is a dash and one letter, its value the next word. sanlock.conf(5) has most of them, ' +
          'too; an option comes first.',
        { rows: DAEMON_ROWS },
      ],
    },
    { title: 'ACTIONS OF THE CLIENT', parts: [{ rows: actions(CLIENT_FORMS, CLIENT) }] },
    {
      title: 'DIRECT ACTIONS',
      parts: [
        'They read and write the disk without the daemon. What a daemon of any host uses must not be ' +
          `written by them. Each takes ${DIRECT_OPTIONS} as well.`,
        { rows: actions(DIRECT_FORMS, DIRECT) },
      ],
    },
    { title: 'LEASES AND THEIR PLACES', parts: [{ rows: STRINGS }, { rows: STRING_PARTS }] },
    { title: 'LIMITS', parts: [{ rows: LIMITS }] },
    {
      title: 'SIGNALS',
      parts: [
        {
          rows: [
            ['SIGTERM', 'The daemon ends if nothing is in use, and goes on otherwise.'],
            [
              'SIGKILL',
              'What it had stays protected; a daemon that is started in time goes on with it.',
            ],
          ],
        },
      ],
    },
    {
      title: 'ENVIRONMENT',
      parts: [
        {
          rows: [
            ['SANLOCK_RUN_DIR', 'Where the socket is [/run/sanlock].'],
            ['SANLOCK_PRIVILEGED', '0: the daemon lifts no limits and becomes no other user.'],
          ],
        },
      ],
    },
    {
      title: 'EXIT STATUS',
      parts: [
        {
          rows: [
            ['0', 'Done; of the daemon: its orderly end.'],
            ['1', 'Not done, or wrong words; of the daemon: it cannot serve.'],
            ['75', 'The daemon has ended for its successor (holdfast upgrade).'],
          ],
        },
        'A result is printed as a number below 0: holdfast explain says what it means.',
      ],
    },
    {
      title: 'FILES',
      parts: [
        {
          rows: [
            ['/etc/sanlock/sanlock.conf', 'The settings of the daemon.'],
            ['/etc/default/sanlock', 'On Debian: the options of its unit.'],
            ['/run/sanlock/sanlock.sock', 'Where programs connect.'],
            ['/var/log/sanlock.log', 'Its log.'],
          ],
        },
      ],
    },
    {
      title: 'EXAMPLES',
      parts: [
        'A lockspace and a lease, made once:',
        {
          lines: [
            'sanlock client init -s LS1:0:/dev/sdc:0',
            'sanlock client init -r LS1:vm7:/dev/sdc:1M',
          ],
        },
        'This host joins as number 1, and runs a program that has the lease:',
        {
          lines: [
            'sanlock client add_lockspace -s LS1:1:/dev/sdc:0',
            'sanlock client command -r LS1:vm7:/dev/sdc:1M -c /usr/bin/program',
          ],
        },
      ],
    },
  ],
  seeAlso: [
    'sanlock.conf(5)',
    'wdmd(8)',
    'holdfast-who(8)',
    'holdfast-explain(8)',
    'holdfast-status(8)',
  ],
};
