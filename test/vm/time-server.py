"""Answers as a server of SNTP (RFC 4330) of this host alone, by its own clock."""
import socket
import struct
import time

SINCE_1900_S = 2208988800
LEAP_VERSION_MODE = 0x24  # nothing pending, version 4, a server
STRATUM, POLL_LOG2_S, PRECISION_LOG2_S = 1, 6, -20

server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 123))
while True:
    asked, client = server.recvfrom(512)
    now = int((time.time() + SINCE_1900_S) * 2**32)
    head = struct.pack(
        ">BBbbII4s", LEAP_VERSION_MODE, STRATUM, POLL_LOG2_S, PRECISION_LOG2_S, 0, 16, b"LOCL"
    )
    times = struct.pack(">Q", now) + asked[40:48] + struct.pack(">QQ", now, now)
    server.sendto(head + times, client)
