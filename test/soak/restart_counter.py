"""Counts under an exclusive lease, through the C client library, over restarts of the daemon.

usage: restart_counter.py LOCKSPACE RESOURCE DEVICE LEASE_OFFSET COUNTER_OFFSET LOG SEED

One step: read the counter block, write it one higher. A lease is held for one step, or for many
seconds of steps. When the daemon goes away under it, the lease is still ours: the steps go on, and
the process registers again and acquires again. LOG has a line for each event: a word, milliseconds
of CLOCK_MONOTONIC, and for some a value: step VALUE, connected, again, lost ERRNO, signal NUMBER.
"""
import mmap
import os
import random
import signal
import struct
import sys
import time

import sanlock

lockspace, resource, device, lease_offset, counter_offset, log, seed = sys.argv[1:]
disks = [(device, int(lease_offset))]
names = (lockspace.encode(), resource.encode())
at = int(counter_offset)
dice = random.Random(seed)
notes = open(log, "a", buffering=1)
disk = os.open(device, os.O_RDWR | os.O_DIRECT | os.O_SYNC)
block = mmap.mmap(-1, 4096)  # page aligned, as direct I/O wants it
connection = None

NOT_HELD = 1  # the -1 of RELEASE
HELD_ALREADY = 17  # EEXIST
LOST_AFTER_S = 60


def note(word, value=""):
    notes.write("%s %d %s\n" % (word, time.monotonic() * 1000, value))


def signalled(number, _frame):
    note("signal", number)
    os._exit(3)


def connect():
    """Waits for a daemon. To it, leases that this process has from its predecessor are its own."""
    global connection
    if connection is not None:
        os.close(connection)
        connection = None
    while connection is None:
        try:
            connection = sanlock.register()
        except sanlock.SanlockException:
            time.sleep(0.02)
    note("connected")


def is_dead():
    try:
        sanlock.inquire(slkfd=connection)
    except sanlock.SanlockException:
        return True
    return False


def acquire():
    """The number of a refusal; 0: granted. Again, when the daemon ended before it answered."""
    while True:
        try:
            sanlock.acquire(*names, disks, slkfd=connection)
            return 0
        except sanlock.SanlockException as refusal:
            if not is_dead():
                return refusal.errno
            connect()


def take_back():
    """The lease that we hold is ours at the new daemon too."""
    connect()
    end = time.monotonic() + LOST_AFTER_S
    while True:
        refusal = acquire()
        if refusal in (0, HELD_ALREADY):
            note("again")
            return
        if time.monotonic() > end:
            note("lost", refusal)
            os._exit(4)
        time.sleep(0.1)


def count():
    os.preadv(disk, [block], at)
    (value,) = struct.unpack_from("<Q", block, 0)
    time.sleep(dice.uniform(0, 0.004))
    struct.pack_into("<Q", block, 0, value + 1)
    os.pwritev(disk, [block], at)
    note("step", value + 1)


def hold(seconds):
    end = time.monotonic() + seconds
    while True:
        count()
        if time.monotonic() >= end:
            return
        time.sleep(dice.uniform(0.005, 0.05))
        if dice.random() < 0.1 and is_dead():
            take_back()


def release():
    while True:
        try:
            sanlock.release(*names, disks, slkfd=connection)
            return
        except sanlock.SanlockException as refusal:
            if not is_dead():
                if refusal.errno == NOT_HELD:
                    return  # the daemon before did it, and could not say so
                time.sleep(0.05)
                continue
        connect()
        # Either must do: to release at once, or to acquire first as others would.
        if dice.random() < 0.5 and acquire() not in (0, HELD_ALREADY):
            return


for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGINT):
    signal.signal(number, signalled)
connect()
while True:
    if acquire() != 0:
        time.sleep(dice.uniform(0.005, 0.05))
        continue
    hold(dice.uniform(0.2, 12) if dice.random() < 0.02 else 0)
    release()
    time.sleep(dice.uniform(0, 0.02))
