"""What `make bench-http` makes of its raw results: the tables, the plot, their place in docs/speed.md."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from bench.http.__main__ import DOCUMENT, PLOT, RAW
from bench.http.load import Load, LoadFailed, parse
from bench.http.plot import plot
from bench.http.report import MARKERS, SHORT, put_between_markers, report

SVG = "{http://www.w3.org/2000/svg}"
# wrk 4.1.0 with bench/http/wrk.lua, of a server that answers and of one that refuses.
ANSWERED = """\
Running 1s test @ http://127.0.0.1:18765/
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   732.46us  630.60us   9.40ms   92.78%
    Req/Sec    58.54k    12.78k   79.41k    70.00%
  58347 requests in 1.01s, 52.58MB read
Requests/sec:  58052.73
Transfer/sec:     52.32MB
measured {"requests": 58347, "seconds": 1.005069, "p50_ms": 0.568, "p99_ms": 3.212, "max_ms": 9.399, \
"not_2xx": 0, "connect": 0, "read": 0, "write": 0, "timeout": 0}
"""
REFUSED = """\
Running 1s test @ http://127.0.0.1:18766/x
  1 threads and 4 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     4.49ms    4.44ms  44.10ms   93.25%
    Req/Sec     0.94k   229.70     1.31k    70.00%
  931 requests in 1.00s, 504.79KB read
  Non-2xx or 3xx responses: 931
Requests/sec:    928.52
Transfer/sec:    503.44KB
measured {"requests": 931, "seconds": 1.002670, "p50_ms": 3.253, "p99_ms": 26.814, "max_ms": 44.098, \
"not_2xx": 931, "connect": 0, "read": 0, "write": 0, "timeout": 0}
"""


@pytest.fixture
def raw() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((Path(__file__).parent / "raw.json").read_text())
    return found


def test_what_wrk_says_is_read() -> None:
    assert parse(ANSWERED) == Load(requests=58347, seconds=1.005069, p50_ms=0.568, p99_ms=3.212, max_ms=9.399)


@pytest.mark.parametrize(
    ("output", "complaint"),
    [
        (REFUSED, r"of 931 answers to wrk some failed \(not_2xx: 931\)"),
        (ANSWERED.replace('"read": 0', '"read": 3'), r"failed \(read: 3\)"),
        (ANSWERED.replace('"requests": 58347', '"requests": 0'), "no answer at all"),
        (ANSWERED.partition("measured")[0], "wrk printed 0 lines"),
    ],
    ids=["not 2xx", "broken connections", "no answer", "no line"],
)
def test_a_failed_request_fails_the_run(output: str, complaint: str) -> None:
    with pytest.raises(LoadFailed, match=complaint):
        parse(output)


def rows(text: str, endpoint: str) -> list[str]:
    table = text.partition(f"`{endpoint}`\n\n")[2].partition("\n\n")[0]
    return table.splitlines()[2:]


def test_the_tables_have_medians_and_spread_fastest_first_limits_last(raw: dict[str, Any]) -> None:
    text = report(raw)
    assert rows(text, "GET /") == [
        "| **this service** | 2 200 (2 200 to 2 200) | 30.0 (30.0 to 30.0) | 40.0 (40.0 to 40.0)"
        " | 450 (450 to 450) | 0.06 (0.06 to 0.06) |",
        "| Slow & steady | 1 100 (1 000 to 1 200) | 58.0 (55.0 to 60.0) | 85.0 (80.0 to 90.0)"
        " | 950 (900 to 990) | 1.00 (1.00 to 1.00) |",
        "| bare (a limit: no duties) | 71 000 (70 000 to 72 000) | 0.6 (0.6 to 0.6) | 2.0 (2.0 to 2.0)"
        " | 14 (14 to 14) | 0.00 (0.00 to 0.00) |",
    ]
    assert [row.split(" | ")[0] for row in rows(text, "POST /api/v1/counter")] == [
        "| Slow & steady",
        "| **this service**",
    ]
    assert "| Slow & steady | 40.0 (39.9 to 40.2) | 41.2 (41.0 to 41.5) | 0.50 (0.40 to 0.60) |" in text
    assert "Python 3.13.0, slow 1.2 |" in text
    for told in [
        "A <fast> processor, 2 cores (load average before: 0.1), Linux 6.1.0",
        "wrk 4.1.0",
        "410 000",
        "2026-01-02",
        "Valkey 9.1.2",
    ]:
        assert told in text


def test_a_short_run_says_so_in_table_and_plot(raw: dict[str, Any]) -> None:
    assert SHORT not in report(raw)
    assert "Short run" not in plot(raw)
    raw["short"] = True
    assert report(raw).startswith(SHORT)
    assert "Short run" in plot(raw)


def test_the_plot_is_an_svg_with_a_bar_as_long_as_each_median(raw: dict[str, Any]) -> None:
    drawing = ET.fromstring(plot(raw))  # noqa: S314 - made here
    assert drawing.tag == f"{SVG}svg"
    bars = [rect for rect in drawing.iter(f"{SVG}rect") if rect.get("class") in {"service", "peer"}]
    widths = [float(str(bar.get("width"))) for bar in bars]
    assert [bar.get("class") for bar in bars] == ["service", "peer", "peer", "service"]
    assert widths[1] / widths[0] == pytest.approx(1100 / 2200, rel=0.01)
    assert widths[3] / widths[2] == pytest.approx(2500 / 5000, rel=0.01)
    words = [text.text for text in drawing.iter(f"{SVG}text")]
    assert words.count("Slow & steady") == 2
    assert "bare" not in words
    assert "bare without duties: 71 000.  One core of A <fast> processor, 2026-01-02" in words


def test_only_what_is_between_the_markers_is_replaced(tmp_path: Path) -> None:
    document = tmp_path / "speed.md"
    begin, end = MARKERS
    document.write_text(f"before\n\n{begin}\nold\n{end}\n\nafter\n")
    put_between_markers(document, "new\n", MARKERS)
    put_between_markers(document, "newer\n", MARKERS)
    assert document.read_text() == f"before\n\n{begin}\n\nnewer\n\n{end}\n\nafter\n"
    for text in ["no markers", end + begin, begin]:
        document.write_text(text)
        with pytest.raises(ValueError, match="put them where the tables belong"):
            put_between_markers(document, "new", MARKERS)
        assert document.read_text() == text


def test_the_document_shows_what_was_measured_last() -> None:
    measured = json.loads(RAW.read_text())
    assert f"{MARKERS.begin}\n\n{report(measured)}\n{MARKERS.end}" in DOCUMENT.read_text()
    assert PLOT.read_text() == plot(measured)
