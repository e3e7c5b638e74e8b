import { unreachable } from '../../../base/assert.ts';
import { plain } from '../../../base/plain-text.ts';
import type { LeaseOf, Moment, Rehearsal, SpaceRehearsal } from '../../../inspect/rehearsal.ts';
import { linesOf } from '../../frame/help.ts';

const WIDTH = 80;
const HEADING = 15;

/** The timeline of each lockspace, for people. */
export function rehearsalText(rehearsal: Rehearsal, what: 'host' | 'lun'): string {
  const parts = rehearsal.spaces.map((space) => spaceText(space, what));
  const notes = rehearsal.notes.flatMap((note) => linesOf(`${plain(note)}.`, WIDTH));
  return [...parts.flat(), ...notes].map((line) => `${line}\n`).join('');
}

function spaceText(space: SpaceRehearsal, what: 'host' | 'lun'): readonly string[] {
  const where = space.vg === null ? `lockspace ${space.lockspace}` : `VG ${space.vg}`;
  const who = `host ${space.hostName} (host id ${space.hostId}${space.isThisHost ? ', this one' : ''})`;
  const age = space.ageS === null ? 'is not known when' : `${Math.round(space.ageS)} s ago`;
  const head = `${where}, ${who}: ${what === 'host' ? 'it dies' : 'it loses the disk'} now; its last renewal was ${age}.`;
  return [
    ...linesOf(plain(head), WIDTH),
    ...space.moments.flatMap((moment) => beside(timeText(moment), momentText(moment, space))),
    '',
  ];
}

/** `T+76`, `T+76 to 136`: seconds. */
function timeText({ fromS, toS }: Moment): string {
  return `  T+${fromS}${toS === null || toS === fromS ? '' : ` to ${toS}`}`;
}

function momentText({ kind }: Moment, space: SpaceRehearsal): string {
  const { holds, witnesses, isThisHost } = space;
  const others = witnesses.length === 0 ? 'no other host is there to see it' : witnesses.join(', ');
  switch (kind) {
    case 'dies':
      return holds.length === 0
        ? `Its processes end with it. ${noneText(space)}`
        : `Its processes end with it. It held ${leasesText(holds)}.`;
    case 'ioFails':
      return holds.length === 0
        ? `Reads and writes fail. ${noneText(space)}`
        : `Reads and writes fail, for the users of ${leasesText(holds)} too.`;
    case 'warned':
      return 'sanlock warns in its log that renewals are late.';
    case 'expires':
      return (
        'sanlock takes the lockspace for lost: it grants nothing more, and has its users stopped. ' +
        'lvmlockctl --kill takes the LVs of the VG down; other processes get SIGTERM, or their own ' +
        'program is run.'
      );
    case 'killed':
      return 'Processes that still hold leases are killed (SIGKILL).';
    case 'reset':
      return (
        `If one still holds a lease, the watchdog resets ${isThisHost ? 'this host' : 'that host'}; ` +
        'if none does, it goes on running.'
      );
    case 'seenSilent':
      return `The other hosts show it as failing: ${others}.`;
    case 'takeable': {
      const held = holds.map(({ name, mode }) => ({ name, mode, users: [] }));
      const what = holds.length === 0 ? 'what it would hold by then' : leasesText(held);
      return `Others that reach the disk may take ${what}, and not before: ${others}.`;
    }
    default:
      return unreachable(kind);
  }
}

function noneText({ vg }: SpaceRehearsal): string {
  return vg === null ? 'What it holds there is not known.' : 'It holds no lease of an LV.';
}

const MAX_LEASES = 8;

function leasesText(holds: readonly LeaseOf[]): string {
  const named = holds.slice(0, MAX_LEASES).map(({ name, mode, users }) => {
    const by = users.length === 0 ? '' : `, used by ${users.join(' and ')}`;
    return `${name} (${mode}${by})`;
  });
  const more = holds.length - named.length;
  return plain([...named, ...(more > 0 ? [`${more} more`] : [])].join(', '));
}

function beside(heading: string, text: string): readonly string[] {
  return linesOf(plain(text), WIDTH - HEADING).map(
    (line, n) => `${(n === 0 ? heading : '').padEnd(HEADING)}${line}`,
  );
}
