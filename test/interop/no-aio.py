"""no-aio.py ERRNO PROGRAM ARG...: a program to which the kernel refuses io_setup, by seccomp."""

import ctypes
import os
import platform
import struct
import sys

PR_SET_NO_NEW_PRIVS = 38
PR_SET_SECCOMP = 22
SECCOMP_MODE_FILTER = 2
SECCOMP_RET_ALLOW = 0x7FFF0000
SECCOMP_RET_ERRNO = 0x00050000
LOAD_WORD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06
IO_SETUP = 0 if platform.machine() == "aarch64" else 206

errno = int(sys.argv[1])
program = [
    (LOAD_WORD, 0, 0, 0),  # the number of the system call
    (JUMP_IF_EQUAL, 0, 1, IO_SETUP),
    (RETURN, 0, 0, SECCOMP_RET_ERRNO | errno),
    (RETURN, 0, 0, SECCOMP_RET_ALLOW),
]
code = b"".join(struct.pack("=HBBI", *line) for line in program)
filters = ctypes.create_string_buffer(code)
described = struct.pack("@HP", len(program), ctypes.addressof(filters))
libc = ctypes.CDLL(None, use_errno=True)
for option, value in (
    (PR_SET_NO_NEW_PRIVS, 1),
    (PR_SET_SECCOMP, SECCOMP_MODE_FILTER),
):
    pointer = ctypes.c_char_p(described) if option == PR_SET_SECCOMP else 0
    if libc.prctl(option, value, pointer, 0, 0) != 0:
        sys.exit(f"prctl {option}: {os.strerror(ctypes.get_errno())}")
os.execvp(sys.argv[2], sys.argv[2:])
