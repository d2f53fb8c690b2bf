"""`/api/v1/counter`: reads the counter, or counts one."""

import json

from app.counter.counter import Counter
from app.handlers.base import ApiHandler
from app.handlers.error_answers import Problem
from app.handlers.routes import Route, route


class CounterHandler(ApiHandler):
    """The counter for programs."""

    route = "/api/v1/counter"

    def initialize(self, counter: Counter) -> None:
        self.counter = counter

    async def get(self) -> None:
        self.show(await self.counter.value())

    async def head(self) -> None:
        await self.get()

    async def post(self) -> None:
        self.refuse_content()
        self.show(await self.counter.increment())

    def show(self, value: int) -> None:
        self.write_json({"counter": value, "environment": self.policy.settings.environment})

    def refuse_content(self) -> None:
        """Let an empty body or an empty JSON object pass; raise Problem for anything else."""
        if self.request.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise Problem(415, "The body must not be compressed.")
        if not self.request.body:
            return
        media_type = self.request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if media_type != "application/json":
            raise Problem(415, "The body must be empty, or an empty JSON object sent as application/json.")
        try:
            document = json.loads(self.request.body)
        except (ValueError, RecursionError):
            raise Problem(400, "The body is not valid JSON.") from None
        if document != {}:
            raise Problem(400, "The body must be empty or an empty JSON object: counting takes no arguments.")


def counter_routes(counter: Counter) -> list[Route]:
    return [route(CounterHandler, counter=counter)]
