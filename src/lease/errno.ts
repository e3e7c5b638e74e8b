/** The few plain errno results the lease procedures give (Linux, positive). */
export const ERRNO_ENOENT = 2;
export const ERRNO_EAGAIN = 11;
export const ERRNO_EINVAL = 22;
export const ERRNO_ENOSPC = 28;
/** What a short transfer is reported as: past the end of a device. */
export const ERRNO_EMSGSIZE = 90;
