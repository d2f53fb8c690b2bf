"""What other exporters than the service tell."""

from tests.alerts.phases import Phase
from tests.alerts.scenario import QUIET, Scenario, bells, three

DEPLOYMENT = 'namespace="shop",deployment="shop",condition="Progressing",status="false"'
CONTAINER = 'namespace="shop",pod="shop-redis-0",container="redis"'
VOLUME = 'namespace="shop",persistentvolumeclaim="data-shop-redis-0"'
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
            three(Phase(80)),
            {
                9: QUIET,
                12: bells("CertificateEnds ticket cert-manager"),
                19: bells("CertificateEnds ticket cert-manager"),
                21: QUIET,
            },
            others={
                f'certmanager_certificate_expiration_timestamp_seconds{{{label}="shop",name="shop-tls"}}': (
                    "1210200x39 7776000x39"
                )
            },
        )
        for label in ("namespace", "exported_namespace")
    ),
]
