"""Which requests are being worked on or answered: what a drain waits for."""

import asyncio


class InFlight:
    """The requests whose work or whose response is not finished.

    A request is held by its connection, from its header until its response is flushed, and by its handler,
    which may outlive a visitor who left. It is in flight while either holds it.
    """

    def __init__(self) -> None:
        self._holds: dict[object, int] = {}
        self._none = asyncio.Event()
        self._none.set()

    def __len__(self) -> int:
        return len(self._holds)

    def hold(self, request: object) -> None:
        """Count `request` in, or hold it once more."""
        self._none.clear()
        self._holds[request] = self._holds.get(request, 0) + 1

    def release(self, request: object) -> None:
        """Undo one hold."""
        holds = self._holds.get(request, 0) - 1
        if holds > 0:
            self._holds[request] = holds
        else:
            self._holds.pop(request, None)
        if not self._holds:
            self._none.set()

    async def wait_until_none(self) -> None:
        """Return once no request is in flight."""
        await self._none.wait()
