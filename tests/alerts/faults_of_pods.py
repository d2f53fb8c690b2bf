"""Redis away or unwell, pods that are not ready, not seen, or restart."""

from tests.alerts.phases import Phase, away
from tests.alerts.scenario import QUIET, WELL, Scenario, bells, entrance, three

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
    three(WELL, away("connection", 20), Phase(80)),
    {
        10: QUIET,
        12: bells("RedisUnreachable page", "EntranceFails page"),
        19: bells("RedisUnreachable page", "EntranceFails page"),
        # The service is well; of the entrance the shorter of the slow windows is not yet.
        28: bells("EntranceFails page"),
        51: QUIET,
    },
    others=entrance((20, 60, 0), (20, 0, 60), (80, 60, 0)),
)

TARGET = 'job="shop/shop",pod="shop-1",instance="10.0.0.1:8001"'
REPLICAS = 'kube_deployment_status_replicas_ready{namespace="shop",deployment="shop"}'
PROBES = 'namespace="shop",pod="shop-7d9f8c6b5-x2x4z",container="visits",probe_type="Readiness"'
"""What the kubelet tells of its probes, which the service need not have answered in time."""

PODS = [
    Scenario(
        "Redis is there for a minute, away for a minute, again and again",
        three(WELL, *[away("connection", 2), Phase(2)] * 20, Phase(40)),
        {20: QUIET, 28: bells("RedisUnreachable ticket"), 49: bells("RedisUnreachable ticket"), 54: QUIET},
    ),
    Scenario(
        "the pods say that they are ready, and Kubernetes lets nobody come to them",
        three(Phase(80)),
        {
            10: QUIET,
            12: bells("NoPodReady page kube-state-metrics"),
            19: bells("NoPodReady page kube-state-metrics"),
            21: QUIET,
        },
        others={REPLICAS: "3x19 0x19 3x39"},
    ),
    Scenario(
        "with Redis away no pod is ready for Kubernetes either: one bell",
        three(WELL, away("connection", 20), WELL),
        {12: bells("RedisUnreachable page"), 19: bells("RedisUnreachable page"), 24: QUIET},
        others={
            REPLICAS: "3x19 0x19 3x19",
            f'prober_probe_total{{{PROBES},result="failed"}}': "0+15x19 300+15x19 600x19",
            f'prober_probe_total{{{PROBES},result="successful"}}': "0+15x19 300x19 300+15x19",
        },
    ),
    Scenario(
        "every probe of the kubelet fails, of pods that say that they are ready",
        three(Phase(80)),
        {
            10: QUIET,
            14: bells("NoPodReady page kubelet"),
            19: bells("NoPodReady page kubelet"),
            21: QUIET,
        },
        others={
            f'prober_probe_total{{{PROBES},result="failed"}}': "0x19 0+15x19 300x39",
            f'prober_probe_total{{{PROBES},result="successful"}}': "0+15x19 300x19 300+15x39",
        },
    ),
    Scenario(
        "three workers of one pod begin anew, each once",
        three(Phase(120)),
        dict.fromkeys(range(60), QUIET),
        others={
            f'process_start_time_seconds{{{TARGET},worker="{worker}"}}': f"0x{19 + worker} 1x{99 - worker}"
            for worker in range(3)
        },
    ),
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
        "pods say that they are ready, and no probe reaches them",
        three(WELL, Phase(20, good=0, is_probed=False), WELL),
        {12: QUIET, 14: bells("NoPodReady page"), 19: bells("NoPodReady page"), 21: QUIET},
    ),
    Scenario(
        "no probe reaches one pod of three",
        [[WELL, Phase(20, good=0, is_probed=False), WELL], *three(Phase(60))[:2]],
        dict.fromkeys(range(30), QUIET),
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
        "the only pod restarts again and again, and is away in between",
        [[WELL, *[Phase(1, is_seen=False), Phase(2, restarts=1)] * 20, Phase(160)]],
        {20: QUIET, 30: bells("PodRestarts ticket"), 39: bells("PodRestarts ticket"), 105: QUIET},
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
        dict.fromkeys(range(60), QUIET),
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
