"""A service manager as far as descriptors go: sd_notify(3), FDSTORE=1, sd_listen_fds(3).

usage: test-service-manager.py NOTIFY_SOCKET COMMAND...
Takes one order a line: start | kill SIGNAL | plant KIND PATH | withhold (what is in store). Tells what happens, a line each.
"""
import fcntl, os, select, signal, socket, sys

notify_path, command = sys.argv[1], sys.argv[2:]
notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
notify.bind(notify_path)
store = {}  # name: descriptor; FileDescriptorStoreMax=1
children = []
withheld = False


def tell(*words):
    print(*words, flush=True)


def start():
    pid = os.fork()
    if pid == 0:
        env = dict(os.environ, NOTIFY_SOCKET=notify_path)
        if store and not withheld:
            high = [fcntl.fcntl(fd, fcntl.F_DUPFD, 100) for fd in store.values()]
            for number, fd in enumerate(high):
                os.dup2(fd, 3 + number)
                os.close(fd)
            names = ':'.join(store)
            env.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(high)), LISTEN_FDNAMES=names)
        os.execvpe(command[0], command, env)
    children.append(pid)
    tell('started', pid)


def plant(kind, path):
    """Something that is in the store by mistake, under the name that a listener of ours would have."""
    if kind == 'file':
        fd = os.open(path, os.O_CREAT | os.O_RDWR)
    else:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM if kind == 'datagram' else socket.SOCK_STREAM)
        sock.bind(path)
        if kind == 'listener':
            sock.listen(5)
        fd = sock.detach()
    found = os.stat(path)
    store[f'{os.path.basename(path)},{found.st_dev},{found.st_ino}'] = fd
    tell('planted')


def hear():
    text, fds, _, _ = socket.recv_fds(notify, 4096, 4)
    for fd in fds:
        os.set_inheritable(fd, False)
    words = dict(line.split('=', 1) for line in text.decode().split('\n') if '=' in line)
    name = words.get('FDNAME', '')
    if 'FDSTORE' in words:
        is_full = len(store) > 0
        if is_full or len(fds) != 1:
            for fd in fds:
                os.close(fd)
            tell('full' if is_full else 'nothing', name)
        else:
            store[name] = fds[0]
            tell('stored', name)
    elif 'FDSTOREREMOVE' in words:
        fd = store.pop(name, None)
        if fd is not None:
            os.close(fd)
        tell('removed' if fd is not None else 'unknown', name)
    else:
        tell(text.decode().split('\n')[0])


def obey(order):
    global withheld
    if order[0] == 'start':
        start()
    elif order[0] == 'kill':
        os.kill(children[-1], getattr(signal, order[1]))
    elif order[0] == 'withhold':
        withheld = True
    else:
        plant(*order[1:])


def reap():
    """What a child has said comes before its end."""
    while children:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        while select.select([notify], [], [], 0)[0]:
            hear()
        children.remove(pid)
        tell('ended', os.waitstatus_to_exitcode(status))


waiting = b''
while True:
    ready, _, _ = select.select([0, notify], [], [], 0.02)
    if notify in ready:
        hear()
    reap()
    if 0 in ready:
        data = os.read(0, 4096)
        if not data:
            break
        *lines, waiting = (waiting + data).split(b'\n')
        for line in lines:
            obey(line.decode().split())
for pid in children:
    os.kill(pid, signal.SIGKILL)
