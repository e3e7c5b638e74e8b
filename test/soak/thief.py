"""Tries without end to acquire leases that another host holds.

usage: thief.py LOCKSPACE DEVICE LOG RESOURCE:OFFSET…

LOG has a line for each event: a word, milliseconds of CLOCK_MONOTONIC, and a value: granted
RESOURCE, and now and then refused COUNT.
"""
import sys
import time

import sanlock

lockspace, device, log, *resources = sys.argv[1:]
wanted = [(name, int(offset)) for name, offset in (one.split(":") for one in resources)]
notes = open(log, "a", buffering=1)
connection = sanlock.register()
refused = 0


def note(word, value=""):
    notes.write("%s %d %s\n" % (word, time.monotonic() * 1000, value))


while wanted:
    for name, offset in list(wanted):
        place = (lockspace.encode(), name.encode(), [(device, offset)])
        try:
            sanlock.acquire(*place, slkfd=connection)
        except sanlock.SanlockException:
            refused += 1
        else:
            note("granted", name)  # and kept
            wanted.remove((name, offset))
        time.sleep(0.2)
    note("refused", refused)
