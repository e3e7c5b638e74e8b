"""Fills the free lease slots of a VG: lvmlockd finds a lease of an LV in each, as in a VG of many LVs.

fill-leases.py DEVICE, with 512-byte sectors: the leader record of the first LV is written to every slot
that no LV has. Past the page cache, which knows nothing of what another host wrote.
"""
import mmap
import os
import sys

SLOT_BYTES = 1 << 20
FIRST_LV_SLOT = 67
SECTOR_BYTES = 512
NAME = slice(104, 152)

device = os.open(sys.argv[1], os.O_RDWR | os.O_DIRECT)
slots = os.lseek(device, 0, os.SEEK_END) // SLOT_BYTES
leader, other = mmap.mmap(-1, SECTOR_BYTES), mmap.mmap(-1, SECTOR_BYTES)
os.preadv(device, [leader], FIRST_LV_SLOT * SLOT_BYTES)
filled = 0
for slot in range(FIRST_LV_SLOT, slots):
    os.preadv(device, [other], slot * SLOT_BYTES)
    if other[NAME].rstrip(b"\0") == b"#unused":
        os.pwritev(device, [leader], slot * SLOT_BYTES)
        filled += 1
print("filled", filled)
