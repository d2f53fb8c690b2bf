"""What happens to the service, and which alerts ring when: minutes since the beginning."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tests.alerts.phases import Phase, away

Bells = frozenset[str]
"""Alerts that fire, each as «name severity», with its source where that is not the service."""
QUIET: Bells = frozenset()


@dataclass(frozen=True)
class Scenario:
    name: str
    pods: Sequence[Sequence[Phase]]
    rings: Mapping[float, Bells]
    """What fires at a minute, and nothing else does."""
    scrape_seconds: int = 30
    evaluate_seconds: int = 30
    others: Mapping[str, str] = field(default_factory=dict)
    """Series that are not the service's, in promtool's notation."""


def three(*phases: Phase) -> list[list[Phase]]:
    """Three pods that fare alike."""
    return [list(phases)] * 3


def bells(*names: str) -> Bells:
    return frozenset(names)


def entrance(*parts: tuple[int, float, float]) -> dict[str, str]:
    """What an entrance counts: (scrapes, good answers a scrape, answers with 503 a scrape)."""
    found = {}
    for column, status in ((1, "200"), (2, "503")):
        total, written = 0.0, []
        for part in parts:
            written.append(f"{total:g}+{part[column]:g}x{part[0] - 1}")
            total += part[column] * part[0]
        found[f'nginx_ingress_controller_requests{{host="x.test",status="{status}"}}'] = " ".join(written)
    return found


WELL = Phase(20)
"""Ten minutes of 40 visits a minute and pod."""
WORRY = "VisitsFailSlowly ticket"
"""With a day of history and no more, a page comes with its ticket: the long window is not full yet."""

REDIS_CAUSES = {
    "RedisUnreachable": [
        *("connection", "timeout", "protocol", "loading", "busy", "master down", "cluster down"),
        "slot is moving",
    ],
    "RedisRefuses": [
        *("read only", "too few replicas", "out of memory", "refused", "refused command", "error"),
    ],
    "RedisCannotPersist": ["cannot persist"],
    "CredentialRefused": ["authentication"],
}
"""By the alert, the reasons for which no visit can be counted."""
IN_THE_KEY = {"not an integer", "overflow"}
"""Reasons that leave the pods ready: CounterStandsStill tells them."""


def redis_scenarios() -> list[Scenario]:
    """Each reason has its one bell: a page when nobody serves, a ticket when others do."""
    found = []
    for alert, reasons in REDIS_CAUSES.items():
        for reason in reasons:
            gone = away(reason, 40)
            pages = {10.5: QUIET, 12: bells(f"{alert} page"), 29: bells(f"{alert} page"), 34: QUIET}
            found.append(Scenario(f"Redis: {reason}, for all", three(WELL, gone, WELL), pages))
        if alert != "RedisCannotPersist":
            one = [[WELL, away(reasons[0], 80), WELL], *three(Phase(120))[:2]]
            tickets = {20: QUIET, 28: bells(f"{alert} ticket"), 49: bells(f"{alert} ticket"), 54: QUIET}
            found.append(Scenario(f"Redis: {reasons[0]}, for one", one, tickets))
    return found


TRAP = Scenario(
    "Redis away, seen from the entrance, too: the service's own ratio stays perfect",
    three(WELL, away("connection", 20), Phase(40)),
    {
        10: QUIET,
        12: bells("RedisUnreachable page", "EntranceFails page"),
        19: bells("RedisUnreachable page", "EntranceFails page"),
        28: QUIET,
    },
    others=entrance((20, 60, 0), (20, 0, 60), (40, 60, 0)),
)

PODS = [
    Scenario(
        "pods that start while Redis is away say that they start",
        three(WELL, Phase(20, good=0, not_ready="starting", redis_fails="connection"), WELL),
        {10.5: QUIET, 12: bells("RedisUnreachable page"), 19: bells("RedisUnreachable page"), 24: QUIET},
    ),
    Scenario(
        "no pod becomes ready, and Redis is well",
        three(WELL, Phase(20, good=0, not_ready="starting"), WELL),
        {10.5: QUIET, 12: bells("NoPodReady page"), 19: bells("NoPodReady page"), 21: QUIET},
    ),
    Scenario(
        "Redis' pod is replaced: 30 s of failures",
        three(WELL, away("connection", 1), WELL),
        {minute / 2: QUIET for minute in range(41)},
    ),
    Scenario(
        "no scrape is answered",
        three(WELL, Phase(20, is_seen=False), WELL),
        {12: QUIET, 14: bells("NoPodSeen page"), 19: bells("NoPodSeen page"), 21: QUIET},
    ),
    Scenario(
        "there is no pod to ask",
        three(WELL, Phase(20, is_there=False), WELL),
        {12: QUIET, 14: bells("NoPodSeen page"), 19: bells("NoPodSeen page"), 21: QUIET},
    ),
    Scenario(
        "a pod restarts at every scrape, then is replaced",
        [[WELL, Phase(60, restarts=1), Phase(20, is_there=False)], *three(Phase(100))[:2]],
        {20: QUIET, 30: bells("PodRestarts ticket"), 39: bells("PodRestarts ticket"), 41: QUIET},
    ),
    Scenario(
        "a pod never answers",
        [[WELL, Phase(80, is_seen=False), WELL, WELL], *three(Phase(140))[:2]],
        {20: QUIET, 36: bells("PodRestarts ticket"), 49: bells("PodRestarts ticket"), 65: QUIET},
    ),
    Scenario(
        "an ordinary rollout: every pod is replaced within five minutes",
        [
            *three(Phase(20), Phase(10, is_there=False), Phase(90, is_there=False)),
            *three(Phase(20, is_there=False), Phase(2, 0, not_ready="starting"), Phase(98, version="2")),
        ],
        {minute: QUIET for minute in range(60)},
    ),
    Scenario(
        "two versions side by side",
        [[WELL, Phase(80, version="2"), WELL], *three(Phase(120))[:2]],
        {39: QUIET, 41: bells("RolloutStuck ticket"), 49: bells("RolloutStuck ticket"), 51: QUIET},
    ),
    Scenario(
        "a pod never becomes ready",
        [[WELL, Phase(80, good=0, not_ready="starting"), WELL], *three(Phase(120))[:2]],
        {39: QUIET, 41: bells("RolloutStuck ticket"), 49: bells("RolloutStuck ticket"), 51: QUIET},
    ),
]

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
        three(WELL, Phase(60, good=0, failed=20, redis_fails="not an integer"), Phase(400)),
        {
            22: bells("CounterStandsStill page", "VisitsFailFast page", WORRY),
            39: bells("CounterStandsStill page", "VisitsFailFast page", WORRY),
            # 30 minutes later the shorter of the slow windows is well again. The ticket waits for its own, six hours.
            75: bells(WORRY),
        },
    ),
    Scenario("nobody comes", three(Phase(120, good=0)), {minute: QUIET for minute in range(60)}),
]

PEOPLE = [
    Scenario(
        "half of the visits fail for ten minutes",
        three(Phase(120), Phase(20, good=10, failed=10), Phase(900)),
        {
            60: QUIET,
            64: bells("VisitsFailFast page", WORRY),
            69: bells("VisitsFailFast page", WORRY),
            101: bells(WORRY),
            440: QUIET,
        },
    ),
    Scenario(
        "half of the visits are late for ten minutes",
        three(Phase(120), Phase(40, good=10, late=10), Phase(900)),
        {
            60: QUIET,
            79: bells("VisitsLateFast page", "VisitsLateSlowly ticket"),
            115: bells("VisitsLateSlowly ticket"),
            460: QUIET,
        },
    ),
    Scenario(
        "a scanner sends what cannot be answered: 505 before any route",
        three(Phase(120, refused=200)),
        {minute: QUIET for minute in range(60)},
    ),
    Scenario(
        "few come, and one of them meets an error",
        [[Phase(20, good=0.5), Phase(1, good=0, failed=1), Phase(240, good=0.5)]],
        {minute: QUIET for minute in range(130)},
    ),
    Scenario(
        "few come, and none of them is served",
        [[Phase(240, good=0.5), Phase(60, good=0, failed=0.5, uncounted=0), Phase(60, good=0.5)]],
        {
            120: QUIET,
            # Seven of them.
            135: bells("VisitsFailFast page", "VisitsFailSlowly ticket", "CounterStandsStill page"),
        },
    ),
]

SLOW = [
    Scenario(
        "one visit in 200 fails for a day, after three good ones",
        three(Phase(4320, good=600), Phase(1440, good=597, failed=3), Phase(720, good=600)),
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
        three(Phase(4320, good=600), Phase(1440, good=570, late=30), Phase(720, good=600)),
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
            {minute: QUIET for minute in range(0, 1441, 5)},
            scrape_seconds=60,
            evaluate_seconds=60,
        )
        for name, pace in (("a request a minute", 1), ("1000 a second", 60_000))
    ),
]

DEPLOYMENT = 'namespace="shop",deployment="shop",condition="Progressing",status="false"'
ELSEWHERE = [
    Scenario(
        "the Deployment makes no progress",
        three(Phase(80)),
        {
            10: QUIET,
            12: bells("RolloutStuck ticket kube-state-metrics"),
            19: bells("RolloutStuck ticket kube-state-metrics"),
            21: QUIET,
        },
        others={f"kube_deployment_status_condition{{{DEPLOYMENT}}}": "0x19 1x19 0x39"},
    ),
    Scenario(
        "Redis' container restarts four times",
        three(Phase(200)),
        {
            10: QUIET,
            13: bells("PodRestarts ticket kube-state-metrics"),
            60: bells("PodRestarts ticket kube-state-metrics"),
            75: QUIET,
        },
        others={
            'kube_pod_container_status_restarts_total{namespace="shop",pod="shop-redis-0",container="redis"}': (
                "0x19 1 1 2 3 4x176"
            )
        },
    ),
    Scenario(
        "Redis' memory fills, then is enlarged",
        three(Phase(120)),
        {
            20: QUIET,
            26: bells("RedisNearlyFull ticket redis-exporter"),
            39: bells("RedisNearlyFull ticket redis-exporter"),
            41: QUIET,
        },
        others={
            'redis_memory_used_bytes{namespace="shop"}': "50x19 90x99",
            'redis_memory_max_bytes{namespace="shop"}': "100x79 200x39",
        },
    ),
    Scenario(
        "a Redis without a limit is never nearly full",
        three(Phase(80)),
        {minute: QUIET for minute in range(40)},
        others={
            'redis_memory_used_bytes{namespace="shop"}': "50x79",
            'redis_memory_max_bytes{namespace="shop"}': "0x79",
        },
    ),
    Scenario(
        "Redis' volume fills, then is enlarged",
        three(Phase(120)),
        {
            20: QUIET,
            26: bells("RedisNearlyFull ticket kubelet"),
            39: bells("RedisNearlyFull ticket kubelet"),
            41: QUIET,
        },
        others={
            f'kubelet_volume_stats_{name}_bytes{{namespace="shop",persistentvolumeclaim="data-shop-redis-0"}}': values
            for name, values in (("used", "50x19 90x99"), ("capacity", "100x79 200x39"))
        },
    ),
    Scenario(
        "Redis' write to its disk fails, while it still counts",
        three(Phase(80)),
        {
            10: QUIET,
            12: bells("RedisCannotPersist page redis-exporter"),
            19: bells("RedisCannotPersist page redis-exporter"),
            21: QUIET,
        },
        others={
            'redis_aof_last_write_status{namespace="shop"}': "1x19 0x19 1x39",
            'redis_aof_last_bgrewrite_status{namespace="shop"}': "1x79",
            'redis_rdb_last_bgsave_status{namespace="shop"}': "1x79",
        },
    ),
    *(
        Scenario(
            f"a certificate ends, told with the label {label}, then is renewed",
            three(Phase(80)),
            {
                9: QUIET,
                12: bells("CertificateEnds ticket cert-manager"),
                19: bells("CertificateEnds ticket cert-manager"),
                21: QUIET,
            },
            others={
                f'certmanager_certificate_expiration_timestamp_seconds{{{label}="shop",name="shop-tls"}}': (
                    "1210100x39 7776000x39"
                )
            },
        )
        for label in ("namespace", "exported_namespace")
    ),
]

SCENARIOS = [TRAP, *redis_scenarios(), *PODS, *COUNTER, *PEOPLE, *SLOW, *ELSEWHERE]
