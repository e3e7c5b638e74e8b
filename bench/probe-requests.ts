/** The variable that tells a probe where its socket shall be; the socket's name is its process. */
export const PROBE_DIRECTORY = 'HOLDFAST_BENCH_PROBE';

export type ProbeRequest =
  | 'collections begin'
  | 'collections end'
  | 'profile begin'
  | 'profile end';

export interface Collections {
  readonly count: number;
  /** What the program allocated meanwhile, on the heap and in buffers. */
  readonly allocatedBytes: number;
}
