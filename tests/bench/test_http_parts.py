"""Which part of the service a stack is counted for, and what the sampler notes."""

import json
import sys
from collections import Counter
from pathlib import Path

from bench.http.parts import DOCUMENT, LOOP, MARKERS, PARTS, TORNADO, part_of, report
from bench.http.sampled import Sampler, places
from bench.http.servers import ROOT

PACKAGES = "/usr/lib/python3/site-packages"


def test_the_innermost_place_that_a_part_has_decides() -> None:
    asked_by_page = [["/srv/app/handlers/page.py", "show"], [f"{PACKAGES}/tornado/web.py", "_execute"]]
    assert part_of([[f"{PACKAGES}/tornado/httputil.py", "__contains__"], *asked_by_page]) == TORNADO
    assert part_of([["/usr/lib/python3/json/encoder.py", "encode"], *asked_by_page]).startswith(
        "the handlers"
    )
    written = ["/srv/app/http/httptools_sending.py", "send"]
    assert part_of([written, ["/srv/app/http/httptools_response.py", "write_headers"]]) == LOOP
    assert part_of([["/usr/lib/python3/asyncio/runners.py", "run"]]) == LOOP


def test_every_file_that_a_part_names_is_there() -> None:
    """A file that moved would be counted for its caller."""
    own = [has.partition(":")[0] for has, _ in PARTS if has.startswith("app/")]
    missing = [has for has in own if not list(ROOT.glob(f"{has}*"))]
    assert not missing


def test_the_sampler_notes_stacks_until_its_end(tmp_path: Path) -> None:
    file = tmp_path / "samples.json"
    sampler = Sampler()
    sampler.begin()
    while sampler.stacks.total() < 3:
        pass
    sampler.end(file)
    told = json.loads(file.read_text())
    assert sum(count for _, count in told) == sampler.stacks.total()
    here = test_the_sampler_notes_stacks_until_its_end.__name__
    assert all(here in [function for _, function in stack] for stack, _ in told)
    assert next(places(sys._getframe()))[1] == here


def test_the_largest_part_is_told_first_and_all_are_added_up() -> None:
    told = report({"GET /": (Counter({TORNADO: 1, LOOP: 3}), 200.0)})
    assert (
        told.index(f"| {LOOP} | 150 |") < told.index(f"| {TORNADO} | 50 |") < told.index("| together | 200 |")
    )


def test_the_document_has_a_place_for_it() -> None:
    text = DOCUMENT.read_text()
    assert text.index(MARKERS.begin) < text.index(MARKERS.end)
