import { HOLDFAST_VERSION } from '../../src/base/version.ts';

/** What the changelog says of a version: its text, and when it was released; null: not yet. */
export interface Notes {
  readonly releasedOn: string | null;
  readonly text: string;
}

/** Throws if the changelog has no such version. */
export function notesOf(changelog: string, version: string): Notes {
  const parts = changelog.split(/^## /m).slice(1);
  for (const part of parts) {
    const [, found, when = ''] = /^(\S+) \((.*)\)\n/.exec(part) ?? [];
    if (found !== version) continue;
    const text = part.slice(part.indexOf('\n')).trim();
    return { releasedOn: /^\d{4}-\d\d-\d\d$/.test(when) ? when : null, text };
  }
  throw new Error(`CHANGELOG.md has no chapter "## ${version} (date)"`);
}

/** Why this tree is not what a tag says, in a sentence; null: it is. */
export function whyNotOf(
  tag: string,
  { changelog, packageVersion }: { readonly changelog: string; readonly packageVersion: string },
): string | null {
  if (tag !== `v${packageVersion}`) {
    return `the tag ${tag} is not that of package.json: v${packageVersion}`;
  }
  if (packageVersion !== HOLDFAST_VERSION) {
    return `src/base/version.ts has ${HOLDFAST_VERSION}, package.json ${packageVersion}`;
  }
  const { releasedOn } = notesOf(changelog, packageVersion);
  return releasedOn === null
    ? `CHANGELOG.md has no date for ${packageVersion}: wanted "## ${packageVersion} (YYYY-MM-DD)"`
    : null;
}
