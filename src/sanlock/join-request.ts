import type { ByteString } from '../base/bytes.ts';
import { SECOND_MS } from '../base/units.ts';
import type { JoinRequest } from '../lease-process/messages.ts';
import type { SanlockSettings } from './settings.ts';

/** All that a lease process must know of the lockspace it joins. */
export function joinRequest(
  settings: SanlockSettings,
  space: {
    readonly name: ByteString;
    readonly hostId: number;
    readonly path: ByteString;
    readonly offset: number;
    readonly ioTimeoutS: number;
    readonly hostName: ByteString;
  },
): JoinRequest {
  return {
    lockspaceName: space.name,
    hostId: space.hostId,
    path: space.path,
    offset: space.offset,
    hostName: space.hostName,
    ioTimeoutS: space.ioTimeoutS,
    renewalReadExtendMs: extendMs(settings.renewalReadExtendS, space.ioTimeoutS),
    sharedRetries: settings.shRetries,
  };
}

/** A configured 0 still gives half a second, as the original does (spec 10 §5.3). */
function extendMs(configuredS: number | null, ioTimeoutS: number): number {
  if (configuredS === null) return ioTimeoutS * SECOND_MS;
  return configuredS === 0 ? 500 : configuredS * SECOND_MS;
}
