"""A limit: how many INCR one core sends to Redis and gets answered, 64 under way on one connection."""

import socket
import time

from bench.http.load import CONNECTIONS
from bench.http.servers import SERVER_CORE, on_core
from dev.valkey import LOOPBACK

COMMAND = b"*2\r\n$4\r\nINCR\r\n$4\r\nincr\r\n"


def incr_limit(port: int, seconds: float) -> float:
    """Return the commands a second, as redis-benchmark with --pipeline 64 --clients 1 counts them."""
    done = 0
    with on_core(SERVER_CORE), socket.create_connection((LOOPBACK, port)) as connection:
        began = time.monotonic()
        while (spent := time.monotonic() - began) < seconds:
            connection.sendall(COMMAND * CONNECTIONS)
            answered = 0
            while answered < CONNECTIONS:
                answered += connection.recv(65536).count(b"\n")
            done += answered
    return done / spent
