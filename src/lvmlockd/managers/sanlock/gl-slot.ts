import type { ByteString } from '../../../base/bytes.ts';
import { readResource } from '../../../wire/sanlock/area-calls.ts';
import type { Outcome } from '../manager.ts';
import type { ManagerSteps } from '../steps.ts';
import { ask } from './ask.ts';
import { GL_DISABLED_NAME, GL_NAME, type LeaseSite, resourceAt, SLOT_GL } from './layout.ts';
import type { OpenSpace } from './open-space.ts';
import { switchName } from './rename.ts';
import type { SanlockTimes } from './times.ts';

/** A VG's slot of the global lock, whose name says whether the VG carries it (spec 31 §1). */

/** null when the slot cannot be read. */
export function* readGlName(site: LeaseSite, times: SanlockTimes): ManagerSteps<ByteString | null> {
  const resource = resourceAt(site, '', glOffset(site));
  const answer = yield* ask(readResource(resource), times.diskMs);
  return answer.ok ? answer.value.name : null;
}

export function switchGl(space: OpenSpace, enable: boolean): ManagerSteps<Outcome> {
  const { site, session, times } = space;
  const [oldName, newName] = enable ? [GL_DISABLED_NAME, GL_NAME] : [GL_NAME, GL_DISABLED_NAME];
  const lease = resourceAt(site, oldName, glOffset(site));
  return switchName({ session, lease, newName }, times);
}

function glOffset({ sizes }: LeaseSite): number {
  return SLOT_GL * sizes.alignBytes;
}
