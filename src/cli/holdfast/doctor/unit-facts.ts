import { existsSync } from 'node:fs';
import { SECOND_MS } from '../../../base/units.ts';
import type { UnitSeen } from '../../../inspect/doctor/facts.ts';
import { askProgram } from '../../observe/ask-program.ts';

const UNITS = ['wdmd', 'sanlock', 'lvmlockd', 'lvmlocks'].map((name) => `${name}.service`);
const SYSTEMD_MS = 30 * SECOND_MS;
const PROPERTIES = 'Id,LoadState,UnitFileState,ActiveState,Result';
const ENABLED: ReadonlySet<string> = new Set([
  ...['enabled', 'enabled-runtime', 'static', 'alias', 'indirect', 'generated'],
]);

/** The units of the daemons; null: systemd does not run here, or does not say. */
export async function unitFacts(): Promise<readonly UnitSeen[] | null> {
  if (!existsSync('/run/systemd/system')) return null;
  const words = ['show', `--property=${PROPERTIES}`, ...UNITS];
  const shown = await askProgram('systemctl', words, SYSTEMD_MS);
  return shown.ok ? unitsIn(shown.value) : null;
}

/** A paragraph for each unit. */
export function unitsIn(text: string): readonly UnitSeen[] {
  return text
    .split('\n\n')
    .filter((paragraph) => paragraph.includes('Id='))
    .map((paragraph) => {
      const value = (key: string) => new RegExp(`^${key}=(.*)$`, 'm').exec(paragraph)?.[1] ?? '';
      const load = value('LoadState');
      return {
        name: value('Id'),
        load: load === 'not-found' ? 'absent' : load === 'masked' ? 'masked' : 'loaded',
        isEnabled: ENABLED.has(value('UnitFileState')),
        active: activeOf(value('ActiveState')),
        result: value('Result'),
      };
    });
}

function activeOf(state: string): UnitSeen['active'] {
  if (state === 'active' || state === 'inactive' || state === 'failed') return state;
  return 'changing';
}

/** By systemd's own word; null: it does not say. */
export async function isClockSynchronised(): Promise<boolean | null> {
  if (!existsSync('/run/systemd/system')) return null;
  const words = ['show', '--property=NTPSynchronized', '--value'];
  const shown = await askProgram('timedatectl', words, SYSTEMD_MS);
  if (!shown.ok) return null;
  const word = shown.value.trim();
  return word === 'yes' ? true : word === 'no' ? false : null;
}
