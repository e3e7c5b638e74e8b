import type { Result } from '../base/result.ts';
import {
  type DeltaHold,
  type DeltaPlace,
  deltaAcquire,
  readLockspaceSizes,
} from '../lease/delta-acquire.ts';
import { deltaResume } from '../lease/delta-resume.ts';
import type { LeaseError } from '../lease/lease-error.ts';
import type { Steps } from '../lease/steps.ts';
import type { JoinRequest } from './messages.ts';

/** Takes the host id, or goes on with it where an earlier process of this host had it. */
export function* joinSteps(
  request: JoinRequest,
  aborted: DeltaPlace['aborted'],
): Steps<Result<DeltaHold, LeaseError>> {
  const place = { ...request, aborted };
  const sizes = yield* readLockspaceSizes(place);
  if (!sizes.ok) return sizes;
  const { resume } = request;
  if (resume !== undefined) return yield* deltaResume(place, sizes.value, resume);
  return yield* deltaAcquire(place, sizes.value);
}
