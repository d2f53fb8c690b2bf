"""A TCP proxy on 127.0.0.1 that can be cut: a network that fails, for real clients and real servers."""

import contextlib
import socket
import threading
import time
from types import TracebackType


class TcpProxy:
    """Forwards to `target` until it is cut.

    `cut` breaks every connection and refuses new ones until `restore`. With `upload_limit`, every connection
    breaks once the clients have sent so many bytes in all.
    """

    def __init__(self, target: tuple[str, int], upload_limit: int | None = None) -> None:
        self.target = target
        self.upload_limit = upload_limit
        self.uploaded = 0
        self.broken = 0
        """Connections that were open when it was cut."""
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._listener = self._listen(0)
        self.port = int(self._listener.getsockname()[1])

    @property
    def connections(self) -> int:
        """How many ends of connections are open."""
        with self._lock:
            return len(self._open)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def __enter__(self) -> "TcpProxy":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cut()

    def cut(self) -> None:
        # A listener that is only closed goes on accepting while its thread waits in accept().
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            connections = list(self._open)
            self.broken += len(connections)
        for connection in connections:
            self._break(connection)

    def restore(self) -> None:
        self._listener = self._listen(self.port)

    def cut_for(self, seconds: float) -> None:
        """An outage of so many seconds: the length of the fault, not a wait for something."""
        self.cut()
        time.sleep(seconds)
        self.restore()

    def _listen(self, port: int) -> socket.socket:
        listener = socket.create_server(("127.0.0.1", port), reuse_port=False)
        threading.Thread(target=self._accept, args=[listener], daemon=True).start()
        return listener

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self.target, timeout=10)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            with self._lock:
                self._open |= {client, server}
            threading.Thread(target=self._forward, args=[client, server, True], daemon=True).start()
            threading.Thread(target=self._forward, args=[server, client, False], daemon=True).start()

    def _forward(self, source: socket.socket, sink: socket.socket, is_upload: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if is_upload and self._is_over_limit(len(data)):
                    break
                sink.sendall(data)
        self._break(source)
        self._break(sink)

    def _is_over_limit(self, size: int) -> bool:
        with self._lock:
            self.uploaded += size
        return self.upload_limit is not None and self.uploaded > self.upload_limit

    def _break(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.discard(connection)
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
        connection.close()
