import type { ClientLink } from '../cluster/client-link.ts';
import type { SanlockHost } from '../cluster/sanlock-host.ts';
import type { ClaimingClient } from '../invariants/client-claims.ts';

/** A client process of one host, and how it behaves. */
export interface WorkloadClient extends ClaimingClient {
  readonly host: SanlockHost;
  link: ClientLink;
  /** Bits of `restrict`. */
  restricted: number;
  /** SIGTERM ends it. */
  readonly obeysTerm: boolean;
  /** It connects to the next daemon. */
  readonly isPersevering: boolean;
  /** A request of it will never be answered: it may have what it does not know of. */
  isCut: boolean;
}
