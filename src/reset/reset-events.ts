/** `event` of a host event, as sanlk-reset and sanlk-resetd use it: bits (spec 25 §6). */
export const RESET_EVENTS = {
  /** Asks for a reset by the watchdog. */
  RESET: 1n,
  /** The watchdog is about to fire. */
  RESETTING: 2n,
  /** Asks for a reboot by sysrq. */
  REBOOT: 4n,
  REBOOTING: 8n,
} as const;
