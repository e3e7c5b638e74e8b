import '../platform/clean-start.ts';
import { parseAgent, parseAgentInput } from '../cli/fence-sanlock/agent-options.ts';
import { fenceSanlock } from '../cli/fence-sanlock/main.ts';
import { agentRunDir, FENCE_FIFO, fencedRunDir } from '../cli/fence-sanlock/places.ts';
import {
  fenceDaemonPid,
  removeAgentFile,
  signalTo,
  writeAgentFile,
} from '../cli/fence-sanlock/running.ts';
import { sanlockSocketPath } from '../client/sanlock.ts';
import { startMessage } from '../fence/start-message.ts';
import { goOnWithoutReader } from '../platform/broken-pipe.ts';
import { MonotonicClock } from '../platform/clock.ts';
import { sendToFifo } from '../platform/fifo.ts';
import { stderrIsJournal } from '../platform/journal-stream.ts';
import { DaemonLog } from '../platform/log.ts';
import { setProcessName } from '../platform/process-name.ts';
import { UnixSockets } from '../platform/unix-socket.ts';
import { type AgentPorts, runAgent } from '../programs/fence-agent-program.ts';

const NAME = 'fence_sanlock';
const MAX_INPUT_BYTES = 64 * 1024;
const LOG_WARN = 4;

async function main(args: readonly string[]): Promise<void> {
  goOnWithoutReader();
  setProcessName(NAME); // fence_sanlockd searches for it
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
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => {
      removeAgentFile(agentDir);
      process.exit(1);
    });
  }
  const print = (text: string) => process.stdout.write(text);
  const complain = (text: string): void => {
    process.stderr.write(`${NAME}: ${text}\n`);
    // Fencing daemons often record only the status: the log has the reasons.
    if (parsed.ok && !stderrIsJournal())
      log.warn('agent.complained', { action: parsed.value.kind, reason: text });
  };
  const ports: AgentPorts = {
    sanlock: {
      clock: new MonotonicClock(),
      sockets: new UnixSockets(),
      socketPath: sanlockSocketPath(process.env['SANLOCK_RUN_DIR']),
    },
    pid: process.pid,
    daemonPid: () => fenceDaemonPid(runDir),
    signalFencing: (pid) => signalTo(pid, 'SIGUSR2'),
    sendStart: (start) => sendToFifo(`${runDir}/${FENCE_FIFO}`, startMessage(start)),
    writeNote: (text) => writeAgentFile(agentDir, text),
    removeNote: () => removeAgentFile(agentDir),
    print,
    complain,
  };
  fenceSanlock(parsed, {
    run: (request, done) => runAgent(request, ports, done),
    print,
    complain,
    exit: (status) => {
      process.exitCode = status;
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

void main(process.argv.slice(2));
