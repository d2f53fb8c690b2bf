"""Twenty versions of the service that should never reach a visitor, as a team could ship them by mistake.

Each is a few edits of the sources that the image is built from. They were written without a look at what the
deploy asks a new version. Every answer of a bad version says so in the header X-Bad-Version.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TypeAlias

Edit: TypeAlias = Callable[[str], str]

STAMP = "X-Bad-Version"
STAMPED = "app/http/policy.py"
"""Builds the headers that handlers, errors, probes, static files and the transport's own refusals share."""


class Visible(StrEnum):
    """Where a bad version can be told from a good one."""

    INSIDE = "inside a pod"
    """By whoever asks one fresh pod what visitors, probes and monitoring ask, within seconds."""
    LATER = "later"
    """Only after some time, a number of requests, or under load."""
    OUTSIDE = "outside"
    """Only with several pods, through a proxy, or while a pod ends."""


@dataclass(frozen=True)
class BadVersion:
    """One mistake."""

    name: str
    description: str
    visible: Visible
    edits: Mapping[str, Edit]
    """By path in the repository: what becomes of the file's text."""

    def write_into(self, folder: Path) -> None:
        """Make a copy of the repository, or of its app/, this version."""
        for path, edit in self.edits.items():
            file = folder / path
            file.write_text(edit(file.read_text()))


def replaced(text: str, old: str, new: str) -> str:
    """Return the text with its only `old` replaced. Raises ValueError if it is missing or not alone."""
    if text.count(old) != 1:
        raise ValueError(f"{text.count(old)} times in the file, expected once; change the edit: {old!r}")
    return text.replace(old, new)


def replacing(*changes: tuple[str, str]) -> Edit:
    """Return the edit that makes these replacements, one after the other."""

    def edit(text: str) -> str:
        for old, new in changes:
            text = replaced(text, old, new)
        return text

    return edit


def stamped(name: str, edits: Mapping[str, Edit]) -> Mapping[str, Edit]:
    """Return the edits and, with them, the one that puts the name into every answer."""
    built = "    return RequestPolicy(\n"
    stamp = replacing((built, f'    headers["{STAMP}"] = "{name}"\n{built}'))
    first = edits.get(STAMPED, replacing())
    return {**edits, STAMPED: lambda text: stamp(first(text))}


def _bad(visible: Visible, name: str, description: str, **edits: Edit) -> BadVersion:
    """`edits` by module: `handlers__page` is app/handlers/page.py."""
    paths = {f"app/{module.replace('__', '/')}.py": edit for module, edit in edits.items()}
    return BadVersion(name, description, visible, stamped(name, paths))


_inside = partial(_bad, Visible.INSIDE)
_later = partial(_bad, Visible.LATER)
_outside = partial(_bad, Visible.OUTSIDE)

KEEPS_TIMEOUT = "        self._timeout = timeout\n"
COUNTS = "        return await self._batches.count()"
COUNT_ON_PAGE = "        self.show(await self.counter.increment())"
READ_ON_PAGE = "        self.show(await self.counter.value())"
SHOW_PAGE = "            self.write(self.page.render(self, value, environment=environment))"
PAGE_VARIES = '        self.set_header("Vary", "Accept")\n'
HOST_REFUSED = '            raise Problem(400, "This host name is not served here.")\n'

INSIDE = (
    _inside(
        "one-in-twenty-fails",
        "5 % of all answers but the probes' are a 500",
        handlers__base=replacing(
            ("import json\n", "import json\nimport random\n"),
            (
                HOST_REFUSED,
                f'{HOST_REFUSED}        if random.random() < 0.05:\n            raise KeyError("flag")\n',
            ),
        ),
    ),
    _inside(
        "page-counts-twice",
        "the page counts each visit twice; the API counts once",
        handlers__page=replacing((COUNT_ON_PAGE, f"        await self.counter.increment()\n{COUNT_ON_PAGE}")),
    ),
    _inside(
        "head-counts",
        "HEAD of the page counts a visit",
        handlers__page=replacing((READ_ON_PAGE, COUNT_ON_PAGE)),
    ),
    _inside(
        "post-forbidden",
        "every POST is a 403: protection against forged forms was turned on for the API, too",
        server=replacing(
            ("        policy=policy,\n", "        policy=policy,\n        xsrf_cookies=True,\n")
        ),
    ),
    _inside(
        "page-cached",
        "the page lets caches keep it for five minutes, so that visits are neither counted nor shown",
        handlers__page=replacing(
            (
                PAGE_VARIES,
                f'{PAGE_VARIES}        self.set_header("Cache-Control", "public, max-age=300")\n',
            )
        ),
    ),
    _inside(
        "page-of-another-environment",
        "the page names an environment of the developer's machine; JSON names the right one",
        handlers__page=replacing((SHOW_PAGE, SHOW_PAGE.replace("=environment", '="LOCAL"'))),
    ),
    _inside(
        "stylesheet-refused",
        "the style sheet comes as text/plain, which browsers refuse: the page has no style",
        handlers__static=replacing(
            (
                "    def validate_absolute_path(",
                '    def get_content_type(self) -> str:\n        return "text/plain"\n\n'
                "    def validate_absolute_path(",
            )
        ),
    ),
    _inside(
        "every-twentieth-is-slow",
        "every 20th visit takes 4 s, while something is refreshed",
        counter__counter=replacing(
            (
                "        self._timeout = timeout\n",
                "        self._timeout = timeout\n        self._visits = 0\n",
            ),
            (
                COUNTS,
                "        self._visits += 1\n        if self._visits % 20 == 0:\n"
                f"            await asyncio.sleep(4)\n{COUNTS}",
            ),
        ),
    ),
    _inside(
        "counter-is-text",
        "the API's counter is a text, not a number; the page's JSON is as before",
        handlers__counter_api=replacing(('{"counter": value,', '{"counter": str(value),')),
    ),
    _inside(
        "page-truncated",
        "the page's Content-Length is one byte more than its body; JSON is whole",
        handlers__page=replacing(
            (
                SHOW_PAGE,
                '            page = self.render_string("page.html", counter=value, environment=environment)\n'
                '            self.set_header("Content-Length", str(len(page)))\n'
                "            self.write(page.strip())\n"
                "            self.flush()",
            )
        ),
    ),
    _inside(
        "other-languages-fail",
        "visitors whose Accept-Language begins with neither English nor German get a 500 from the page",
        handlers__page=replacing(
            (
                PAGE_VARIES,
                f"{PAGE_VARIES}"
                '        language = self.request.headers.get("Accept-Language", "en")[:2]\n'
                '        self.set_header("Content-Language", {"en": "en", "de": "de"}[language])\n',
            )
        ),
    ),
    _inside(
        "second-request-waits",
        "every further request on a kept connection waits 2 s: a pause for the refused became everyone's",
        http__admission=replacing(
            (
                "        self._now += 1\n",
                "        self._now += 1\n        self._rest_ends[connection] = 0.0\n",
            ),
            (
                "        seconds = self.rest_of(connection)\n",
                "        await asyncio.sleep(LONGEST_REST)\n        seconds = self.rest_of(connection)\n",
            ),
        ),
    ),
)

LATER = (
    _later(
        "memory-grows",
        "takes 10 MB more each second from when it is ready: at its limit of 256 MiB in about 20 s",
        server=replacing(
            (
                '    log.info("ready")\n',
                '    log.info("ready")\n    history: list[bytes] = []\n    while True:\n'
                '        await asyncio.sleep(1)\n        history.append(b"." * 10_000_000)\n',
            )
        ),
    ),
    _later(
        "places-leak",
        "a served request keeps its place: after MAX_IN_FLIGHT of them (1000) all are a 503, probes are not",
        handlers__base=replacing(
            ("        if self.is_admitted:\n", "        if self.is_admitted and self.deadline is None:\n")
        ),
    ),
    _later(
        "moves-to-another-port",
        "15 s after its start it listens on another port",
        server=replacing(
            (
                "    starting = asyncio.create_task(_start(health, is_alone=is_alone))\n",
                "    starting = asyncio.create_task(_start(health, is_alone=is_alone))\n\n"
                "    def listen_anew() -> None:\n        server.stop_listening()\n"
                '        server.add_sockets(bind(settings.host, settings.port + 80, "PORT"))\n\n'
                "    asyncio.get_running_loop().call_later(15.0, listen_anew)\n",
            )
        ),
    ),
    _later(
        "same-number-under-load",
        "visitors who come at the same moment are shown the same number",
        counter__batches=replacing(
            (
                "for number, visit in enumerate(batch, value - len(batch) + 1):",
                "for visit in batch:",
            ),
            ("visit.number.set_result(number)", "visit.number.set_result(value)"),
        ),
    ),
)

OUTSIDE = (
    _outside(
        "counts-in-the-process",
        "reads the counter once and counts on in its memory: right with one pod, until it ends",
        counter__counter=replacing(
            (
                KEEPS_TIMEOUT,
                f"{KEEPS_TIMEOUT}        self._known: int | None = None\n",
            ),
            (
                COUNTS,
                "        self._known = await self.value() + 1\n        return self._known",
            ),
            (
                "    async def value(self) -> int:\n",
                "    async def value(self) -> int:\n"
                "        if self._known is None:\n            read = await self._stored()\n"
                "            self._known = max(read, self._known or 0)\n        return self._known\n\n"
                "    async def _stored(self) -> int:\n",
            ),
        ),
    ),
    _outside(
        "only-the-first-pod-counts",
        "all pods write under one name, which Redis gives to the first: with the others visits are late 503s",
        counter__records=replacing(("writer = secrets.token_hex(16)", 'writer = "visits"')),
    ),
    _outside(
        "exits-at-once",
        "ends at SIGTERM without a drain: requests under way break",
        server=replacing(
            (
                '        log.info("stopping", signal=number.name)\n        stop.set()\n',
                '        log.info("stopping", signal=number.name)\n        os._exit(0)\n',
            )
        ),
    ),
    _outside(
        "redirects-behind-a-proxy",
        "sends everyone who comes through a proxy to https, for ever: TLS ends at the proxy",
        handlers__base=replacing(
            (
                HOST_REFUSED,
                f"{HOST_REFUSED}"
                '        if "X-Forwarded-For" in self.request.headers and self.request.protocol != "https":\n'
                "            host, target = self.request.host, self.request.uri\n"
                '            self.redirect(f"https://{host}{target}", permanent=True)\n',
            )
        ),
    ),
)

BAD_VERSIONS: tuple[BadVersion, ...] = (*INSIDE, *LATER, *OUTSIDE)
