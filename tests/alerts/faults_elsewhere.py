"""What other exporters than the service tell."""

from tests.alerts.phases import Phase
from tests.alerts.scenario import QUIET, Scenario, bells, three

DEPLOYMENT = 'namespace="shop",deployment="shop",condition="Progressing",status="false"'
CONTAINER = 'namespace="shop",pod="shop-redis-0",container="redis"'
VOLUME = 'namespace="shop",persistentvolumeclaim="data-shop-redis-0"'
RESTARTS = "kube_pod_container_status_restarts_total"


def certificate(moment: str, name: str) -> str:
    """What cert-manager tells of a certificate in the namespace shop: its expiration or renewal."""
    labels = f'exported_namespace="shop",namespace="cert-manager",name="{name}"'
    return f"certmanager_certificate_{moment}_timestamp_seconds{{{labels}}}"


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
            f"kube_pod_container_status_restarts_total{{{CONTAINER}}}": "0x19 1 1 2 3 4x176",
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
        dict.fromkeys(range(40), QUIET),
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
            f"kubelet_volume_stats_{name}_bytes{{{VOLUME}}}": values
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
            three(Phase(120)),
            {
                9: QUIET,
                26: bells("CertificateEnds ticket cert-manager"),
                29: bells("CertificateEnds ticket cert-manager"),
                31: QUIET,
            },
            others={
                f'certmanager_certificate_expiration_timestamp_seconds{{{label}="shop",name="shop-tls"}}': (
                    "1210200x59 7776000x59"
                )
            },
        )
        for label in ("namespace", "exported_namespace")
    ),
    Scenario(
        "a certificate is not issued yet; one lives for a day and is renewed in time; one is not ours",
        three(Phase(120)),
        dict.fromkeys(range(60), QUIET),
        others={
            certificate("expiration", "shop-new"): "0x119",
            certificate("expiration", "shop-day"): "86400x119",
            certificate("renewal", "shop-day"): "57600x119",
            certificate("expiration", "theirs"): "3600x119",
        },
    ),
    Scenario(
        "a certificate that lives for a day was not renewed when it should have been",
        three(Phase(120)),
        {24: QUIET, 26: bells("CertificateEnds ticket cert-manager"), 50: QUIET},
        others={
            certificate("expiration", "shop-day"): ("86400x79 172800x39"),
            certificate("renewal", "shop-day"): ("600x79 144000x39"),
        },
    ),
    Scenario(
        "containers of another release, shop-eu, restart again and again",
        three(Phase(200)),
        dict.fromkeys(range(100), QUIET),
        others={
            f'{RESTARTS}{{namespace="shop",pod="{pod}",container="x"}}': "0+1x199"
            for pod in ("shop-eu-7d9f8c6b5-x2x4z", "shop-eu-redis-0")
        },
    ),
]
