/**
 * How large the numbers of a sector can be (spec 10 §4.6). The disk holds 64 bits and wraps, our
 * arithmetic does not: a host that works never writes a number beyond these. They leave room
 * for all that can be done in centuries, and for a step beyond: a lease that gets there is refused.
 */

/** The highest host id of any geometry. */
export const MAX_HOST_ID = 2000;
/** One more at each join of a host id. */
export const MAX_GENERATION: bigint = 2n ** 48n;
/** One more at each change of a lease's owner. */
export const MAX_LVER: bigint = 2n ** 62n;
/** About max_hosts more at each change of a lease's owner. */
export const MAX_BALLOT: bigint = 2n ** 63n - 1n;
/** A host's monotonic seconds: its milliseconds are still exact numbers. */
export const MAX_TIMESTAMP_S: bigint = 2n ** 43n;
/**
 * The largest io timeout of a host. Eight bits of it reach the disk: others would count a host with
 * a larger one dead too soon (spec 10 §4.1).
 */
export const MAX_IO_TIMEOUT_S = 255;
/** A place on a device, in bytes: numbers beyond lose their last digits. */
export const MAX_OFFSET: bigint = 2n ** 52n;
