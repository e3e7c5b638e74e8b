"""Host events through libsanlock: `listen <lockspace> <seconds>` or `set <lockspace> <arguments>`."""

import json
import select
import sys
import time

import sanlock


def listen(lockspace, seconds):
    """Prints every event of the time given, then ends the channel."""
    fd = sanlock.reg_event(lockspace.encode())
    print("listening", flush=True)
    end = time.monotonic() + float(seconds)
    events = []
    while time.monotonic() < end:
        readable, _, _ = select.select([fd], [], [], max(0, end - time.monotonic()))
        if readable:
            events += sanlock.get_event(fd)
    sanlock.end_event(fd, lockspace.encode())
    print(json.dumps(events))


def set_event(lockspace, *numbers):
    """host id, generation, event, data, flags"""
    try:
        sanlock.set_event(lockspace.encode(), *(int(number) for number in numbers))
        print(0)
    except sanlock.SanlockException as refusal:
        print(-refusal.args[0])


{"listen": listen, "set": set_event}[sys.argv[1]](*sys.argv[2:])
