"""Counts in a block of a volume, as a guest writes its disk, until SIGTERM; nobody else may.

usage: counter.py DEVICE OFFSET LOG

One step: read the block, which must have the value of the last step, and write it one higher. LOG
has a line for each event, a word and a value: began VALUE, ended VALUE, foreign VALUE (another one
was there than ours; it ends with status 3), failed TEXT.
"""
import mmap
import os
import signal
import struct
import sys
import time

device, offset, log = sys.argv[1:]
at = int(offset)
disk = os.open(device, os.O_RDWR | os.O_DIRECT | os.O_SYNC)
block = mmap.mmap(-1, 4096)  # page aligned, as direct I/O wants it
notes = open(log, "a", buffering=1)
is_over = False


def end(_number, _frame):
    global is_over
    is_over = True


def read():
    os.preadv(disk, [block], at)
    return struct.unpack_from("<Q", block, 0)[0]


signal.signal(signal.SIGTERM, end)
mine = read()
notes.write("began %d\n" % mine)
try:
    while not is_over:
        found = read()
        if found != mine:
            notes.write("foreign %d\n" % found)
            sys.exit(3)
        mine += 1
        struct.pack_into("<Q", block, 0, mine)
        os.pwritev(disk, [block], at)
        time.sleep(0.05)
except OSError as error:
    notes.write("failed %s\n" % error)
    raise
notes.write("ended %d\n" % mine)
