"""TLS to Redis with the files of now: redis-py keeps what it read first for all later connects."""

from pathlib import Path

from redis.asyncio import Redis, RedisCluster, SSLConnection
from redis.asyncio.sentinel import SentinelManagedConnection


class CurrentFilesConnection(SSLConnection):
    """Reads a certificate that was rotated in its file at the next connect, so that it needs no restart."""

    _read: tuple[tuple[int, int] | None, ...] = ()

    async def connect_check_health(
        self, check_health: bool = True, retry_socket_connect: bool = True
    ) -> None:
        """Connect, unless it is connected."""
        files = tuple(_version(file) for file in (self.ca_certs, self.certfile, self.keyfile) if file)
        # Only then: each time costs some 20 ms, in which nobody else is served.
        if files != self._read:
            self._read = files
            self.ssl_context.context = None
        await super().connect_check_health(check_health, retry_socket_connect)


class CurrentFilesMasterConnection(SentinelManagedConnection, CurrentFilesConnection):
    """The same, to the master that sentinels name."""


def read_files_again(client: Redis | RedisCluster) -> None:
    """Use such connections where redis-py takes none from its caller: of a new Cluster, or to a sentinel."""
    if isinstance(client, Redis):
        client.connection_pool.connection_class = CurrentFilesConnection
        return
    client.connection_kwargs["connection_class"] = CurrentFilesConnection
    for node in client.startup_nodes:
        node.connection_class = CurrentFilesConnection


def _version(file: str) -> tuple[int, int] | None:
    """What changes when the file is written, or another takes its place; None while there is none."""
    try:
        found = Path(file).stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns
