import { nearest } from '../../base/nearest.ts';
import { shown } from '../../base/plain-text.ts';
import { HOLDFAST_VERSION } from '../../base/version.ts';
import { helpText, listText } from '../frame/help.ts';
import { type CommandPage, pageFor } from '../frame/page.ts';

interface Command {
  /** As its page says: for a list of commands, which loads none of them. */
  readonly about: string;
  run(args: readonly string[]): Promise<number>;
  /** What `holdfast <command> --help` prints. */
  help(): Promise<CommandPage>;
}

/** The words behind `holdfast`; each command is loaded only when it is asked for. */
export const COMMANDS: Readonly<Record<string, Command>> = {
  demo: {
    about: 'three hosts and one LUN on this machine, shown with real lvm commands',
    run: async (args) => (await import('./demo.ts')).demo(args),
    help: async () => (await import('./demo.ts')).DEMO_PAGE,
  },
  rig: {
    about: 'the hosts of a demo that stays up: which there are, and a shell on one',
    run: async (args) => (await import('./rig.ts')).rig(args),
    help: async () => (await import('./rig.ts')).RIG_PAGE,
  },
  status: {
    about: 'what runs here, who has what, and how much time is left',
    run: async (args) => (await import('./status.ts')).status(args),
    help: async () => (await import('./status.ts')).STATUS_PAGE,
  },
  serve: {
    about: 'a web page of this host and its lockspaces, and metrics for Prometheus',
    run: async (args) => (await import('./serve.ts')).serve(args),
    help: async () => (await import('./serve/options.ts')).SERVE_PAGE,
  },
  who: {
    about:
      'which host and process hold a lease, whether that host lives, until when nobody else may',
    run: async (args) => (await import('./who.ts')).who(args),
    help: async () => (await import('./who.ts')).WHO_PAGE,
  },
  doctor: {
    about: 'what is wrong with this host, why, and what to do about it',
    run: async (args) => (await import('./doctor.ts')).doctor(args),
    help: async () => (await import('./doctor.ts')).DOCTOR_PAGE,
  },
  explain: {
    about: 'what a number, a message or an event means, and what to do',
    run: async (args) => (await import('./explain.ts')).explain(args),
    help: async () => (await import('./explain.ts')).EXPLAIN_PAGE,
  },
  join: {
    about: 'makes this host ready for shared VGs, and starts them',
    run: async (args) => (await import('./join/join.ts')).join(args),
    help: async () => (await import('./join/join.ts')).JOIN_PAGE,
  },
  leave: {
    about: 'stops the shared VGs of this host, and gives its host id back',
    run: async (args) => (await import('./join/leave.ts')).leave(args),
    help: async () => (await import('./join/leave.ts')).LEAVE_PAGE,
  },
  preflight: {
    about: 'whether a VG can become a shared one, or a local one again, and what is in the way',
    run: async (args) => (await import('./convert/preflight.ts')).preflight(args),
    help: async () => (await import('./convert/preflight.ts')).PREFLIGHT_PAGE,
  },
  convert: {
    about: 'makes a local or clustered VG a shared one, or a shared one local',
    run: async (args) => (await import('./convert/convert.ts')).convert(args),
    help: async () => (await import('./convert/convert.ts')).CONVERT_PAGE,
  },
  rehearse: {
    about: 'what would happen, to whom and when, if a host or a disk died now',
    run: async (args) => (await import('./rehearse/rehearse.ts')).rehearse(args),
    help: async () => (await import('./rehearse/rehearse.ts')).REHEARSE_PAGE,
  },
  repair: {
    about: 'empties damaged blocks of dead hosts that keep every host from a lease (-214)',
    run: async (args) => (await import('./repair.ts')).repair(args),
    help: async () => (await import('./repair.ts')).REPAIR_PAGE,
  },
  guard: {
    about: 'leases for the disks of libvirt guests of any type: install, status, check, uninstall',
    run: async (args) => (await import('./guard.ts')).guard(args),
    help: async () => (await import('./guard/pages.ts')).GUARD_PAGE,
  },
  upgrade: {
    about: 'restarts the daemons while leases are held; everything is carried over',
    run: async (args) => (await import('./upgrade.ts')).upgrade(args),
    help: async () => (await import('./upgrade.ts')).UPGRADE_PAGE,
  },
  stop: {
    about: 'what the units run to end a daemon: for its successor if it is a restart',
    run: async (args) => (await import('./stop.ts')).stop(args),
    help: async () => (await import('./stop.ts')).STOP_PAGE,
  },
  'install-units': {
    about: 'writes the units of systemd for the programs that npm has installed',
    run: async (args) => (await import('./install-units.ts')).installUnits(args),
    help: async () => (await import('./install-units.ts')).INSTALL_UNITS_PAGE,
  },
  unused: {
    about: 'whether nothing of this host uses the daemons, so that they may be stopped or removed',
    run: async (args) => (await import('./unused.ts')).unused(args),
    help: async () => (await import('./unused.ts')).UNUSED_PAGE,
  },
  wait: {
    about: 'until daemons answer: what the unit that starts volume groups at boot runs first',
    run: async (args) => (await import('./wait.ts')).wait(args),
    help: async () => (await import('./wait.ts')).WAIT_PAGE,
  },
};

export async function main(args: readonly string[]): Promise<number> {
  const [name = 'help', ...rest] = args;
  if (name === 'version' || name === '--version' || name === '-V') {
    process.stdout.write(`holdfast ${HOLDFAST_VERSION}\n`);
    return 0;
  }
  if (name === 'help' && rest.length > 0) return main([...rest, '--help']);
  if (name === 'help' || name === '--help' || name === '-h') {
    process.stdout.write(usage());
    return 0;
  }
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (command === undefined) {
    process.stderr.write(unknownCommand(name));
    return 2;
  }
  const options = beforeDashes(rest);
  if (options.some((word) => word === '--help' || word === '-h')) {
    const help = await command.help();
    process.stdout.write(helpText(pageFor(help, options)));
    return 0;
  }
  return command.run(rest);
}

/** What is said of a first word that names no command. */
export function unknownCommand(name: string): string {
  const meant = nearest(name, [...Object.keys(COMMANDS), 'help', 'version']);
  const hint = meant === null ? 'holdfast --help lists them' : `did you mean holdfast ${meant}?`;
  return `holdfast has no command "${shown(name, MAX_SHOWN)}": ${hint}\n`;
}

const MAX_SHOWN = 80;

/** Behind `--` nothing is an option. */
function beforeDashes(args: readonly string[]): readonly string[] {
  const at = args.indexOf('--');
  return at < 0 ? args : args.slice(0, at);
}

function usage(): string {
  const own = {
    'help COMMAND': { about: 'how a command is used' },
    version: { about: 'the version' },
  };
  const rows = Object.entries({ ...COMMANDS, ...own }).map(
    ([name, { about }]) => [name, about] as const,
  );
  return (
    `Usage: holdfast COMMAND [options]\n\n${listText(rows)}\n` +
    'holdfast COMMAND --help: its options, with examples and its exit statuses.\n'
  );
}
