"""A process as a guest of libvirt: registered once, never heard of again, stopped by a killpath.

usage: guest.py LOG KILLPATH

Others acquire leases for it by its pid. LOG has a line for each event: a word, milliseconds of
CLOCK_MONOTONIC, and a value: ready, signal NUMBER. KILLPATH gets the name of LOG and adds its own.
"""
import os
import signal
import struct
import sys
import time

import sanlock

log, killpath = sys.argv[1:]
notes = open(log, "a", buffering=1)

MAGIC = 0x04282010
PROTOCOL = 1
RESTRICT = 10
RESTRICT_ALL = 1
HEADER = struct.Struct("<IIIIIIii")


def note(word, value=""):
    notes.write("%s %d %s\n" % (word, time.monotonic() * 1000, value))


for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGINT):
    signal.signal(number, lambda number, _frame: note("signal", number))
connection = sanlock.register()
sanlock.killpath(killpath, [log], slkfd=connection)
# The Python library has no call for it: from now on the connection can ask for nothing.
os.write(connection, HEADER.pack(MAGIC, PROTOCOL, RESTRICT, RESTRICT_ALL, HEADER.size, 0, 0, -1))
answer = HEADER.unpack(os.read(connection, HEADER.size))
assert answer[6] == 0, answer
note("ready")
while True:
    signal.pause()
