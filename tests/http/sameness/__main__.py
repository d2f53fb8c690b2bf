"""`python -m tests.http.sameness N [SEED]`: run N streams; fails if a difference is found."""

import secrets
import sys
import time

from tests.http.sameness.running import Run, run

SHOW_SECONDS = 10.0


def main() -> int:
    many = int(sys.argv[1])
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else secrets.randbelow(2**32)
    shown = time.monotonic()

    def show(now: Run) -> None:
        nonlocal shown
        if time.monotonic() - shown >= SHOW_SECONDS:
            shown = time.monotonic()
            print(now, flush=True)  # noqa: T201

    done = run(range(many), seed, progress=show)
    for report in done.differences:
        print(report)  # noqa: T201
    print(f"seed {seed}: {done}; {dict(done.answers)}, {dict(done.ends)}, {done.beyond} beyond")  # noqa: T201
    return bool(done.differences)


sys.exit(main())
