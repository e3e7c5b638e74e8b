import { connect, type Socket } from 'node:net';

/** What many clients send to a daemon, in the daemon's own protocol. */
export interface Talk {
  readonly socketPath: string;
  /** What clients may say first without an answer: nothing at all, and a registration. */
  readonly hellos: readonly Uint8Array[];
  /** Requests that are answered, each on a connection of its own. */
  readonly requests: readonly Uint8Array[];
}

const AT_ONCE = 20;
/** More than the kernel holds for a reader that does not read. */
const MANY_REQUESTS = 400;
const PATIENCE_MS = 20_000;

/** What a client does on its connection before it closes it. */
type ClientBehavior = (
  socket: Socket,
  bytes: { hello: Uint8Array; request: Uint8Array },
) => Promise<void>;

/** Every way in which a client can leave a daemon. */
export const BEHAVIORS: Readonly<Record<string, ClientBehavior>> = {
  'closes at once': async (socket, { hello }) => {
    await written(socket, hello);
  },
  'half-closes, and listens to the end': async (socket, { hello }) => {
    await written(socket, hello);
    socket.end();
    await ended(socket);
  },
  'leaves within a request': async (socket, { hello, request }) => {
    await written(socket, hello);
    await written(socket, request.subarray(0, request.length >> 1));
  },
  'half-closes within a request': async (socket, { hello, request }) => {
    await written(socket, hello);
    await written(socket, request.subarray(0, request.length >> 1));
    socket.end();
    await ended(socket);
  },
  'leaves before the answer': async (socket, { hello, request }) => {
    await written(socket, hello);
    await written(socket, request);
  },
  'leaves with the answer unread': async (socket, { hello, request }) => {
    await written(socket, hello);
    await written(socket, request);
    await readable(socket);
  },
  'leaves after the answer': async (socket, { hello, request }) => {
    await written(socket, hello);
    await written(socket, request);
    await readable(socket);
    socket.read();
  },
  'half-closes after the answer': async (socket, { hello, request }) => {
    await written(socket, hello);
    await written(socket, request);
    await readable(socket);
    socket.end();
    await ended(socket);
  },
  'leaves within many answers': async (socket, { hello, request }) => {
    await written(socket, hello);
    socket.write(Buffer.concat(Array.from({ length: MANY_REQUESTS }, () => request)));
    await readable(socket);
  },
};

/** `count` clients, of every behavior in turn, some at once. @throws when one of them gets stuck */
export async function connectMany(talk: Talk, count: number, behaviors = BEHAVIORS): Promise<void> {
  const kinds = talk.hellos.flatMap((hello) =>
    talk.requests.flatMap((request) =>
      Object.entries(behaviors).map(([name, behave]) => ({ hello, request, name, behave })),
    ),
  );
  let next = 0;
  const worker = async () => {
    for (let at = next++; at < count; at = next++) {
      const kind = kinds[at % kinds.length];
      if (kind !== undefined) await connectOnce(talk.socketPath, kind);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

async function connectOnce(
  path: string,
  kind: { hello: Uint8Array; request: Uint8Array; name: string; behave: ClientBehavior },
): Promise<void> {
  const socket = connect({ path, allowHalfOpen: true });
  socket.on('error', () => {}); // a daemon may well close first
  const late = new Promise<never>((_, fail) => {
    const timer = setTimeout(() => fail(new Error(`stuck: ${kind.name}`)), PATIENCE_MS);
    socket.once('close', () => clearTimeout(timer));
  });
  try {
    await Promise.race([kind.behave(socket, kind), late]);
  } finally {
    socket.destroy();
    if (!socket.closed) await new Promise((done) => socket.once('close', done));
  }
}

function written(socket: Socket, bytes: Uint8Array): Promise<void> {
  return new Promise((done) => {
    socket.write(bytes, () => done());
  });
}

/** Something has come, or the daemon has ended the connection. */
function readable(socket: Socket): Promise<void> {
  return new Promise((done) => {
    if (socket.destroyed || socket.readableLength > 0) done();
    else {
      socket.once('readable', done);
      socket.once('close', () => done());
    }
  });
}

function ended(socket: Socket): Promise<void> {
  return new Promise((done) => {
    if (socket.destroyed || socket.readableEnded) done();
    socket.once('end', () => done());
    socket.once('close', () => done());
    socket.resume();
  });
}
