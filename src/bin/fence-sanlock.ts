import '../platform/clean-start.ts';
import { fenceSanlock } from '../cli/fence-sanlock/agent.ts';
import { parseAgent, parseAgentInput } from '../cli/fence-sanlock/agent-options.ts';
import { agentRunDir, FENCE_FIFO, fencedRunDir } from '../cli/fence-sanlock/places.ts';
import {
  fenceDaemonPid,
  removeAgentFile,
  signalTo,
  writeAgentFile,
} from '../cli/fence-sanlock/running.ts';
import { startMessage } from '../cli/fence-sanlock/start-message.ts';
import { SanlockClient, sanlockSocketPath } from '../client/sanlock.ts';
import { goOnWithoutReader } from '../platform/broken-pipe.ts';
import { MonotonicClock } from '../platform/clock.ts';
import { sendToFifo } from '../platform/fifo.ts';
import { stderrIsJournal } from '../platform/journal-stream.ts';
import { DaemonLog } from '../platform/log.ts';
import { setProcessName } from '../platform/process-name.ts';
import { UnixSockets } from '../platform/unix-socket.ts';

const NAME = 'fence_sanlock';
const MAX_INPUT_BYTES = 64 * 1024;
const LOG_WARN = 4;

async function main(args: readonly string[]): Promise<number> {
  goOnWithoutReader();
  setProcessName(NAME); // fence_sanlockd looks for it
  const parsed = args.length > 0 ? parseAgent(args) : parseAgentInput(await readInput());
  const log = new DaemonLog({
    program: NAME,
    file: null,
    fileSeverity: 0,
    syslogSeverity: LOG_WARN,
    stderr: false,
    utc: false,
  });
  const [runDir, agentDir] = [fencedRunDir(process.env), agentRunDir(process.env)];
  const clock = new MonotonicClock();
  const socketPath = sanlockSocketPath(process.env['SANLOCK_RUN_DIR']);
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => {
      removeAgentFile(agentDir);
      process.exit(1);
    });
  }
  return await fenceSanlock(parsed, {
    client: new SanlockClient({ clock, sockets: new UnixSockets(null), socketPath }),
    clock,
    pid: process.pid,
    daemonPid: () => fenceDaemonPid(runDir),
    tellFencing: (pid) => signalTo(pid, 'SIGUSR2'),
    sendStart: (start) => sendToFifo(`${runDir}/${FENCE_FIFO}`, startMessage(start)),
    writeNote: (text) => writeAgentFile(agentDir, text),
    removeNote: () => removeAgentFile(agentDir),
    print: (text) => process.stdout.write(text),
    complain: (text) => {
      process.stderr.write(`${NAME}: ${text}\n`);
      // Fencing daemons often keep only the status: the reasons are for whoever reads the log.
      if (parsed.ok && !stderrIsJournal())
        log.warn('agent.complained', { action: parsed.value.kind, reason: text });
    },
  });
}

async function readInput(): Promise<string> {
  let text = '';
  for await (const bytes of process.stdin) {
    text += String(bytes);
    if (text.length > MAX_INPUT_BYTES) break;
  }
  return text.slice(0, MAX_INPUT_BYTES);
}

void main(process.argv.slice(2)).then((status) => {
  process.exitCode = status;
});
