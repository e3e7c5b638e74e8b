/** The version of this package, as in package.json. */
export const HOLDFAST_VERSION = '0.1.0';

declare const HOLDFAST_BUILD: string | undefined; // by scripts/build.mjs

/** Of which sources this program was built: all programs of one build have the same. */
export const BUILD_ID = typeof HOLDFAST_BUILD === 'undefined' ? 'sources' : HOLDFAST_BUILD;
