/**
 * Of a daemon that ends for its successor (EX_TEMPFAIL of sysexits.h): the units have it in
 * RestartForceExitStatus, so that the successor is started at once.
 */
export const HANDED_OVER_STATUS = 75;
