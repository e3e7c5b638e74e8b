/**
 * The release of sanlock whose formats, protocols and texts are spoken here: by its daemon and
 * command, wdmd, sanlk-reset and fence_sanlock alike. `number`: one byte each, as VERSION answers.
 */
export const SANLOCK_RELEASE = { text: '3.8.5', number: 0x03080500 } as const;
