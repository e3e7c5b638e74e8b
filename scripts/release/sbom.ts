import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { HOLDFAST_VERSION } from '../../src/base/version.ts';

/** The parts of a CycloneDX document that we look at; the rest is passed on. */
export interface Bom {
  serialNumber: string;
  metadata: { timestamp: string; component: Component };
  components: readonly Component[];
  dependencies: readonly { readonly ref: string; readonly dependsOn?: readonly string[] }[];
}

export interface Component {
  readonly name: string;
  readonly version: string;
  readonly 'bom-ref': string;
  readonly properties?: readonly { readonly name: string; readonly value: string }[];
}

/** Beside the programs in each package, with its compiled parts for the architectures that we ship. */
const INSTALLED = ['koffi', '@koromix/koffi-linux-x64', '@koromix/koffi-linux-arm64'] as const;
const NPM_MS = 120_000;

/**
 * What is in the packages, in the form of CycloneDX: what npm knows of it, without what only builds
 * and tests need, and with what the build has bundled into `dist`. The same bytes each time.
 */
export function softwareBill(root: string, epochS: number): string {
  const args = ['sbom', '--sbom-format=cyclonedx', '--package-lock-only'];
  const done = spawnSync('npm', args, { cwd: root, encoding: 'utf8', timeout: NPM_MS });
  if (done.status !== 0) throw new Error(`npm sbom failed: ${(done.stderr ?? '').trim()}`);
  return shippedBill(JSON.parse(done.stdout) as Bom, bundledIn(root), epochS);
}

/** Packages whose code is in `dist`: those whose licences NOTICE has. */
export function bundledIn(root: string): readonly string[] {
  const notice = readFileSync(join(root, 'NOTICE'), 'utf8');
  return [...notice.matchAll(/^(\S+) \(https:.*\)$/gm)].map(([, name]) => name ?? '').sort();
}

export function shippedBill(bom: Bom, bundled: readonly string[], epochS: number): string {
  const wanted = [...INSTALLED, ...bundled];
  const missing = wanted.find((name) => bom.components.every((one) => one.name !== name));
  if (missing !== undefined) throw new Error(`npm sbom does not know ${missing}, which is shipped`);
  const components = bom.components
    .filter(({ name }) => wanted.includes(name))
    .map((component) => withPlace(component, bundled.includes(component.name)));
  const refs = new Set(components.map((component) => component['bom-ref']));
  const own = bom.metadata.component['bom-ref'];
  const dependencies = bom.dependencies
    .filter(({ ref }) => refs.has(ref) || ref === own)
    .map(({ ref, dependsOn = [] }) => ({ ref, dependsOn: dependsOn.filter((to) => refs.has(to)) }));
  const component = { ...bom.metadata.component, name: 'holdfast', version: HOLDFAST_VERSION };
  const timestamp = new Date(epochS * 1000).toISOString();
  const metadata = { ...bom.metadata, timestamp, component };
  const unnumbered = { ...bom, metadata, components, dependencies };
  const serialNumber = uuidOf(JSON.stringify({ ...unnumbered, serialNumber: '' }));
  return `${JSON.stringify({ ...unnumbered, serialNumber }, null, 2)}\n`;
}

/** Where its code is, in the place of what npm says of its use in this project. */
function withPlace(component: Component, isBundled: boolean): Component {
  const value = isBundled ? 'dist' : 'node_modules';
  const placed = { scope: 'required', properties: [{ name: 'holdfast:place', value }] };
  return { ...component, ...placed };
}

/** By the contents, as a uuid of version 8. */
function uuidOf(text: string): string {
  const hex = createHash('sha256').update(text).digest('hex');
  const parts = [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `8${hex.slice(13, 16)}`,
    `a${hex.slice(17, 20)}`,
  ];
  return `urn:uuid:${[...parts, hex.slice(20, 32)].join('-')}`;
}
