/** The text of a file; '' when there is none. `failure`: it is there and cannot be read. */
export type TextFile = { readonly text: string; readonly failure: string | null };

/** Answers about this host that settings depend on. */
export interface HostFacts {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly nodeName: string;
  readonly newUuid: () => string;
  readonly readFile: (path: string) => TextFile;
}
