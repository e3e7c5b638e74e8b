"""What a program sees through libsanlock: one JSON line per step. Arguments: a folder with ls, res."""

import json
import sys
import time

import sanlock

FOLDER = sys.argv[1]
LS = FOLDER + "/ls"
RES = FOLDER + "/res"
MIB = 1024 * 1024


def step(name, call, *args, **kwargs):
    try:
        result = call(*args, **kwargs)
    except sanlock.SanlockException as refusal:
        result = {"errno": refusal.args[0]}
    if isinstance(result, bytes):
        result = result.hex()
    print(json.dumps([name, plain(result)]))
    return result


def plain(value):
    """Without what differs between two runs: folders and times."""
    if isinstance(value, bytes):
        value = value.decode("latin1")
    if isinstance(value, str):
        return value.replace(FOLDER, "<dir>")
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    if isinstance(value, dict):
        return {k: "#" if k == "timestamp" and v else plain(v) for k, v in sorted(value.items())}
    return value


def held(fd):
    """In the order of names: C fills gaps left by earlier leases, and no client can depend on it."""
    return sorted(sanlock.inquire(slkfd=fd), key=lambda one: one["resource"])


def until(what, holds):
    deadline = time.monotonic() + 30
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(what)
        time.sleep(0.2)


def is_live():
    try:
        return any(h["flags"] == sanlock.HOST_LIVE for h in sanlock.get_hosts(b"LS", 1))
    except sanlock.SanlockException:
        return False


def disk(mib):
    return [(RES, mib * MIB)]


step("alignment", sanlock.get_alignment, LS)
step("write lockspace", sanlock.write_lockspace, b"LS", LS, offset=0, iotimeout=2)
step("read lockspace", sanlock.read_lockspace, LS, offset=0)
step("read no lockspace", sanlock.read_lockspace, RES, offset=0)
for number, name in enumerate([b"R0", b"R1", b"R2"]):
    step("write resource", sanlock.write_resource, b"LS", name, disk(number))
step("write resource 4k", sanlock.write_resource, b"LS", b"R8", disk(8), align=8 * MIB, sector=4096)
step("clear resource", sanlock.write_resource, b"LS", b"R3", disk(3), clear=True)
step("read resource", sanlock.read_resource, RES, offset=0)
step("read resource 4k", sanlock.read_resource, RES, offset=8 * MIB)
step("read cleared", sanlock.read_resource, RES, offset=3 * MIB)
step("owners", sanlock.read_resource_owners, b"LS", b"R0", disk(0))
step("owners, other name", sanlock.read_resource_owners, b"LS", b"XX", disk(0))
step("inquire lockspace", sanlock.inq_lockspace, b"LS", 1, LS, offset=0)
step("hosts of none", sanlock.get_hosts, b"LS")
step("lockspaces", sanlock.get_lockspaces)
step("add", sanlock.add_lockspace, b"LS", 1, LS, offset=0, iotimeout=2)
step("add again", sanlock.add_lockspace, b"LS", 1, LS, offset=0, iotimeout=2)
step("add another id", sanlock.add_lockspace, b"LS", 2, LS, offset=0, iotimeout=2)
step("inquire lockspace", sanlock.inq_lockspace, b"LS", 1, LS, offset=0)
step("lockspaces", sanlock.get_lockspaces)
until("our host to be seen alive", is_live)
step("hosts", sanlock.get_hosts, b"LS")
step("one host", sanlock.get_hosts, b"LS", 7)
step("no such host", sanlock.get_hosts, b"LS", 2001)
step("owners without names", sanlock.read_resource_owners, b"", b"", disk(0))
fd = sanlock.register()
step("nothing held", held, fd)
step("acquire", sanlock.acquire, b"LS", b"R0", disk(0), slkfd=fd)
step("acquire again", sanlock.acquire, b"LS", b"R0", disk(0), slkfd=fd)
step("acquire other version", sanlock.acquire, b"LS", b"R1", disk(1), slkfd=fd, version=99)
step("acquire shared", sanlock.acquire, b"LS", b"R1", disk(1), slkfd=fd, shared=True)
step("acquire with lvb", sanlock.acquire, b"LS", b"R2", disk(2), slkfd=fd, lvb=True)
step("acquire cleared", sanlock.acquire, b"LS", b"R3", disk(3), slkfd=fd)
step("acquire no lockspace", sanlock.acquire, b"NO", b"R3", disk(3), slkfd=fd)
step("acquire no device", sanlock.acquire, b"LS", b"R3", [("/nowhere", 0)], slkfd=fd)
step("held", held, fd)
step("set lvb", sanlock.set_lvb, b"LS", b"R2", disk(2), b"{gen:0}")
step("get lvb", sanlock.get_lvb, b"LS", b"R2", disk(2), size=512)
step("get lvb of another", sanlock.get_lvb, b"LS", b"R0", disk(0), size=512)
step("owners exclusive", sanlock.read_resource_owners, b"LS", b"R0", disk(0))
step("owners shared", sanlock.read_resource_owners, b"LS", b"R1", disk(1))
step("request own", sanlock.request, b"LS", b"R0", disk(0), action=sanlock.REQ_GRACEFUL, version=1)
step("release", sanlock.release, b"LS", b"R0", disk(0), slkfd=fd)
step("release again", sanlock.release, b"LS", b"R0", disk(0), slkfd=fd)
step("release lvb", sanlock.release, b"LS", b"R2", disk(2), slkfd=fd)
step("acquire with lvb", sanlock.acquire, b"LS", b"R2", disk(2), slkfd=fd, lvb=True)
step("get lvb", sanlock.get_lvb, b"LS", b"R2", disk(2), size=512)
step("held", held, fd)
step("killpath", sanlock.killpath, "/bin/true", ["one", "two words"], slkfd=fd)
step("release", sanlock.release, b"LS", b"R1", disk(1), slkfd=fd)
step("release lvb", sanlock.release, b"LS", b"R2", disk(2), slkfd=fd)
step("remove unused", sanlock.rem_lockspace, b"LS", 1, LS, offset=0, unused=True)
step("remove", sanlock.rem_lockspace, b"LS", 1, LS, offset=0)
step("lockspaces", sanlock.get_lockspaces)
