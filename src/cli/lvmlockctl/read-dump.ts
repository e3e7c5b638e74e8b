import type { ByteString } from '../../base/bytes.ts';
import { fail, ok, type Result } from '../../base/result.ts';
import { askLvmlockd, type LvmlockdEndpoint } from '../../client/lvmlockd.ts';
import { bytesToText, formatMessage, numberOf } from '../../wire/lvmlockd/libdaemon.ts';

/** The machine, as far as what lvmlockd tells of itself needs it. */
export interface DumpPorts {
  readonly endpoint: LvmlockdEndpoint;
  /** Binds the dump socket; null while another lvmlockctl has it. */
  readonly receiveDump: (received: (bytes: Uint8Array) => void) => { close(): void } | null;
  /** How long it waits for its turn with that socket, and then for the answer of lvmlockd. */
  readonly dumpWithinMs: number;
}

const DUMP_MS = 3000;
const TURN_POLL_MS = 20;

/**
 * @param kind `info`: its records; `dump`: its log; `raw`: its records as an older lvmlockctl has them
 * @returns a sentence: it did not answer, or not wholly
 */
export async function readDump(
  kind: 'info' | 'dump' | 'raw',
  ports: DumpPorts,
): Promise<Result<ByteString, string>> {
  const chunks: Uint8Array[] = [];
  let arrived = 0;
  let wake = () => {};
  const receiver = await inTurn(ports, (bytes) => {
    chunks.push(bytes);
    arrived += bytes.length;
    wake();
  });
  if (receiver === null) return fail('another lvmlockctl has been receiving for too long');
  const request =
    kind === 'dump'
      ? formatMessage([['request', 'dump']])
      : formatMessage([
          ['request', 'info'],
          ...(kind === 'info' ? ([['dump_form', 'new']] as const) : []),
        ]);
  const reply = await askLvmlockd(ports.endpoint, request, ports.dumpWithinMs);
  const wanted = reply.ok ? numberOf(reply.value, 'dump_len', 0) : 0;
  if (arrived < wanted) {
    await new Promise<void>((resolve) => {
      const deadline = ports.endpoint.clock.after(DUMP_MS, resolve);
      wake = () => {
        if (arrived < wanted) return;
        deadline.cancel();
        resolve();
      };
      wake();
    });
  }
  receiver.close();
  if (!reply.ok) return reply;
  const text = chunks.map((chunk) => bytesToText(chunk)).join('');
  return text.length < wanted ? fail(`only ${text.length} of ${wanted} bytes arrived`) : ok(text);
}

/** All lvmlockctl share one address and take turns. null: one of them does not end. */
async function inTurn(
  { receiveDump, endpoint, dumpWithinMs }: DumpPorts,
  received: (bytes: Uint8Array) => void,
): Promise<{ close(): void } | null> {
  for (let waitedMs = 0; waitedMs < dumpWithinMs; waitedMs += TURN_POLL_MS) {
    const receiver = receiveDump(received);
    if (receiver !== null) return receiver;
    await new Promise<void>((resolve) => endpoint.clock.after(TURN_POLL_MS, resolve));
  }
  return null;
}
