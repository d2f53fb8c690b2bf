"""`GET /`: counts a visit and shows the page."""

from app.counter.counter import Counter
from app.handlers.base import BaseHandler
from app.handlers.error_answers import Problem
from app.handlers.negotiation import preferred
from app.handlers.routes import Route, route
from app.handlers.split_page import SplitPage


class PageHandler(BaseHandler):
    """The page for people; the same as JSON when the Accept header prefers it."""

    route = "/"

    def initialize(self, counter: Counter, page: SplitPage) -> None:
        self.counter = counter
        self.page = page

    async def get(self) -> None:
        self.refuse_prefetch()
        self.show(await self.counter.increment())

    async def head(self) -> None:
        """Answer as GET would, without counting."""
        self.show(await self.counter.value())

    def refuse_prefetch(self) -> None:
        """Raise Problem for a request that a browser sends before anybody visits.

        It shows a 2xx to whoever visits later without asking again, even one that is empty or no-store. Any
        other answer it throws away, and fetches the page once somebody visits. A 5xx would look like trouble.
        """
        headers = self.request.headers
        # Some browsers still send the older name for <link rel="prefetch">.
        purposes = headers.get_list("Sec-Purpose") or headers.get_list("Purpose")
        if not purposes:
            return
        if any(purpose.partition(";")[0].strip() == "prefetch" for purpose in ",".join(purposes).split(",")):
            raise Problem(403, "This page counts its visits, so it is not fetched ahead of one.")

    def show(self, value: int) -> None:
        environment = self.policy.settings.environment
        self.set_header("Vary", "Accept")
        if preferred(self.request.headers.get("Accept", ""), otherwise="html") == "json":
            self.write_json({"counter": value, "environment": environment})
        else:
            self.write(self.page.render(self, value, environment=environment))


def page_routes(counter: Counter) -> list[Route]:
    return [route(PageHandler, counter=counter, page=SplitPage("page.html", number="counter"))]
