/** The version of this package, as in package.json. */
export const HOLDFAST_VERSION = '0.1.0';
