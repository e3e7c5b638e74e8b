"""Asks sanlock what a process holds, as libvirt does, again and again until SIGTERM.

usage: asker.py SOCKET PID LOG

LOG gets a line at the end for each outcome, with how often it came: "answered 0", "answered -3" (the
result of INQUIRE), "cut" (the daemon ended when it had accepted the connection), and "refused TEXT" (no
connection: libvirt goes on as if no lease were needed). The last one is "longest SECONDS".
"""
import collections
import signal
import socket
import struct
import sys
import time

path, pid, log = sys.argv[1:]
INQUIRE = struct.pack("<IIIIIIii", 0x04282010, 1, 9, 0, 32, 0, 0, int(pid))
DEADLINE_S = 200
outcomes = collections.Counter()
longest = 0.0
is_over = False


def end(_number, _frame):
    global is_over
    is_over = True


def ask():
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(DEADLINE_S)
        try:
            connection.connect(path)
        except OSError as error:
            return "refused %s" % error
        try:
            connection.sendall(INQUIRE)
            answer = connection.recv(32, socket.MSG_WAITALL)
        except (ConnectionError, BrokenPipeError):
            return "cut"
        if len(answer) < 32:
            return "cut"
        return "answered %d" % struct.unpack("<IIIIIIii", answer)[6]


signal.signal(signal.SIGTERM, end)
while not is_over:
    began = time.monotonic()
    outcomes[ask()] += 1
    longest = max(longest, time.monotonic() - began)
    time.sleep(0.05)
with open(log, "w") as notes:
    for outcome, count in outcomes.items():
        notes.write("%s: %d\n" % (outcome, count))
    notes.write("longest %.1f\n" % longest)
