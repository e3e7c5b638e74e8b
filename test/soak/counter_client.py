"""Counts under an exclusive lease, through the C client library, until it is killed.

usage: counter_client.py LOCKSPACE RESOURCE DEVICE LEASE_OFFSET COUNTER_OFFSET LOG

One step: acquire, read the counter block, wait a moment, write it one higher, note the new value in
LOG, release. A value that two clients note is a lost step: both read the same counter.
"""
import mmap
import os
import random
import struct
import sys
import time

import sanlock

lockspace, resource, device, lease_offset, counter_offset, log = sys.argv[1:]
disks = [(device, int(lease_offset))]
names = (lockspace.encode(), resource.encode())
at = int(counter_offset)

connection = sanlock.register()
disk = os.open(device, os.O_RDWR | os.O_DIRECT | os.O_SYNC)
block = mmap.mmap(-1, 4096)  # page aligned, as direct I/O wants it
notes = open(log, "a", buffering=1)

while True:
    try:
        sanlock.acquire(*names, disks, slkfd=connection)
    except sanlock.SanlockException:
        time.sleep(random.uniform(0.005, 0.05))
        continue
    os.preadv(disk, [block], at)
    (value,) = struct.unpack_from("<Q", block, 0)
    time.sleep(random.uniform(0, 0.004))
    struct.pack_into("<Q", block, 0, value + 1)
    os.pwritev(disk, [block], at)
    notes.write("%d\n" % (value + 1))
    try:
        sanlock.release(*names, disks, slkfd=connection)
    except sanlock.SanlockException:
        time.sleep(0.1)
