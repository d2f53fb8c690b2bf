"""`/healthz` and `/readyz`: what Kubernetes asks."""

from app.handlers.base import BaseHandler
from app.handlers.routes import Route, route
from app.health import Health


class Probe(BaseHandler):
    """A probe answers in one plain word, whatever the load."""

    is_probe = True

    def initialize(self, health: Health) -> None:
        self.health = health

    def answer(self, status: int, word: str) -> None:
        self.set_status(status)
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.write(f"{word}\n")


class LivenessProbe(Probe):
    """Fails only for what a restart mends: a process that cannot answer at all.

    Without what the service needs it is `degraded`.
    """

    route = "/healthz"

    async def get(self) -> None:
        self.answer(200, "ok" if await self.health.trouble() is None else "degraded")

    async def head(self) -> None:
        await self.get()


class ReadinessProbe(Probe):
    """Succeeds when a visitor would be served."""

    route = "/readyz"

    async def get(self) -> None:
        reason = await self.health.not_ready_because()
        if reason is None:
            self.answer(200, "ok")
        else:
            self.answer(503, reason)

    async def head(self) -> None:
        await self.get()


def probe_routes(health: Health) -> list[Route]:
    return [route(LivenessProbe, health=health), route(ReadinessProbe, health=health)]
