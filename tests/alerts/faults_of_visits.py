"""What visitors meet: errors, waiting, a counter that stands still, and days without any."""

from tests.alerts.phases import Phase
from tests.alerts.scenario import QUIET, WELL, WORRY, Scenario, bells, three

COUNTER = [
    Scenario(
        "answers are good, but nothing is counted",
        three(WELL, Phase(60, good=0, uncounted=20), WELL),
        {
            18: QUIET,
            22: bells("CounterStandsStill page"),
            39: bells("CounterStandsStill page"),
            42: QUIET,
        },
    ),
    Scenario(
        "the counter's key holds a word: every visit fails, the pods are ready",
        three(WELL, Phase(60, good=0, failed=20, redis_fails="not an integer"), Phase(80)),
        {
            22: bells("CounterStandsStill page", "VisitsFailFast page", WORRY),
            39: bells("CounterStandsStill page", "VisitsFailFast page", WORRY),
            # The shorter of the slow windows is well again. The ticket's own has six hours.
            75: bells(WORRY),
        },
    ),
    Scenario("nobody comes", three(Phase(120, good=0)), dict.fromkeys(range(60), QUIET)),
]

PEOPLE = [
    Scenario(
        "half of the visits fail for ten minutes",
        [[Phase(60), Phase(10, good=10, failed=10), Phase(450)]],
        {
            60: QUIET,
            64: bells("VisitsFailFast page", WORRY),
            69: bells("VisitsFailFast page", WORRY),
            101: bells(WORRY),
            440: QUIET,
        },
        scrape_seconds=60,
        evaluate_seconds=60,
    ),
    Scenario(
        "half of the visits are late for twenty minutes",
        [[Phase(60), Phase(20, good=10, late=10), Phase(450)]],
        {
            60: QUIET,
            79: bells("VisitsLateFast page", "VisitsLateSlowly ticket"),
            115: bells("VisitsLateSlowly ticket"),
            460: QUIET,
        },
        scrape_seconds=60,
        evaluate_seconds=60,
    ),
    Scenario(
        "a scanner sends what cannot be answered: 505 before any route",
        three(Phase(120, refused=200)),
        dict.fromkeys(range(60), QUIET),
    ),
    Scenario(
        "somebody asks for files and versions while others meet errors",
        [[Phase(60), Phase(10, good=10, failed=10, aside=2000), Phase(60)]],
        {60: QUIET, 68: bells("VisitsFailFast page", WORRY), 101: bells(WORRY)},
        scrape_seconds=60,
        evaluate_seconds=60,
    ),
    Scenario(
        "a pod that has just come meets one error: of two samples Prometheus makes two failures",
        [
            [Phase(20, good=0, is_there=False), Phase(1, good=0, failed=1), Phase(99, good=0.5)],
            [Phase(120, good=0.5)],
        ],
        # Between two scrapes, too.
        {second / 60: QUIET for second in range(590, 1200, 10)},
        evaluate_seconds=10,
    ),
    Scenario(
        "few come, and one of them meets an error",
        [[Phase(20, good=0.5), Phase(1, good=0, failed=1), Phase(240, good=0.5)]],
        dict.fromkeys(range(130), QUIET),
    ),
    Scenario(
        "few come, and none of them is served",
        [[Phase(240, good=0.5), Phase(60, good=0, failed=0.5, uncounted=0), Phase(60, good=0.5)]],
        {
            120: QUIET,
            # Ten of them, and then two minutes.
            138: bells("VisitsFailFast page", "VisitsFailSlowly ticket", "CounterStandsStill page"),
        },
    ),
]

SLOW = [
    Scenario(
        "one visit in 200 fails for a day, after three good ones",
        [[Phase(4320, good=600), Phase(1440, good=597, failed=3), Phase(720, good=600)]],
        {
            4320: QUIET,
            4320 + 600: QUIET,
            4320 + 1000: bells("VisitsFailSlowly ticket"),
            4320 + 1430: bells("VisitsFailSlowly ticket"),
            5760 + 420: QUIET,
        },
        scrape_seconds=60,
        evaluate_seconds=600,
    ),
    Scenario(
        "one visit in 20 is late for a day, after three good ones",
        [[Phase(4320, good=600), Phase(1440, good=570, late=30), Phase(720, good=600)]],
        {
            4320: QUIET,
            4320 + 600: QUIET,
            4320 + 1000: bells("VisitsLateSlowly ticket"),
            4320 + 1430: bells("VisitsLateSlowly ticket"),
            5760 + 420: QUIET,
        },
        scrape_seconds=60,
        evaluate_seconds=600,
    ),
    *(
        Scenario(
            f"a day without faults, {name}",
            [[Phase(1441, good=pace)]],
            dict.fromkeys(range(0, 1441, 5), QUIET),
            scrape_seconds=60,
            evaluate_seconds=60,
        )
        for name, pace in (("a request a minute", 1), ("1000 a second", 60_000))
    ),
]
