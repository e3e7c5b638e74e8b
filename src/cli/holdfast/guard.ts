import { guardCheck } from './guard/check.ts';
import { guardInstall, guardUninstall } from './guard/install.ts';
import { guardEndpoint } from './guard/places.ts';
import { guardStatus } from './guard/status.ts';

export const GUARD_USAGE = `holdfast guard install [--dry-run]
holdfast guard status [--json]
holdfast guard check [--json] [GUEST]
holdfast guard uninstall [--force]
holdfast guard serve

Leases for the disks of libvirt's guests, also for those that libvirt's sanlock plugin leaves
without one (rbd, nbd, iSCSI, gluster): no guest starts whose disk is in use on another host.

    install    has libvirt ask the guard before it starts a guest: by a hook in
               /etc/libvirt/hooks/qemu.d; writes /etc/holdfast/guard.conf if there is none, and
               says what remains to be done
    status     the guests that are guarded, and their leases
    check      what is wrong with this host, or with the protection of one guest, and the cure
    uninstall  takes the hook away, if no guest needs it
    serve      the service itself, in the foreground: holdfast-guard.service runs it

Exit status of status and check: 0 all is well, 1 something needs attention, 2 there is no answer,
or a mistake in the words. Run them as root.
`;

/** @returns the exit status */
export async function guard(args: readonly string[]): Promise<number> {
  const [command = '', ...rest] = args;
  const say = (name: string) => ({
    print: (text: string) => void process.stdout.write(text),
    complain: (sentence: string) =>
      void process.stderr.write(`holdfast guard${name === '' ? '' : ` ${name}`}: ${sentence}\n`),
  });
  switch (command) {
    case 'install':
      return guardInstall(rest, { ...say(command), beside: __dirname });
    case 'uninstall':
      return guardUninstall(rest, { ...say(command), beside: __dirname });
    case 'status':
      return guardStatus(rest, { ...say(command), endpoint: guardEndpoint() });
    case 'check':
      return guardCheck(rest, { ...say(command), beside: __dirname });
    case 'serve':
      say(command).complain('it takes no options: what it needs is in /etc/holdfast/guard.conf');
      return 2;
    default: {
      const wrong = command === '' ? 'it needs a command' : `there is no command "${command}"`;
      say('').complain(`${wrong}\n\n${GUARD_USAGE}`);
      return 2;
    }
  }
}
