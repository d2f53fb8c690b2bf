"""Lines as kubectl prints them for deploy/watch.sh."""

FIELDS = [
    *["kind", "name", "generation", "observed", "replicas", "all", "updated", "available", "least"],
    *["revision", "hash", "revision_hash", "current", "update"],
    *["failure", "unschedulable", "restarts", "waiting"],
]


def line(kind: str, name: str, **fields: object) -> str:
    """One object; a field that it does not have is empty."""
    assert fields.keys() <= set(FIELDS), fields
    return "|".join(str({"kind": kind, "name": name, **fields}.get(field, "")) for field in FIELDS) + "\n"


def deployment(**fields: object) -> str:
    """Complete and seen, unless the fields say otherwise."""
    complete = {
        "generation": 5,
        "observed": 5,
        "replicas": 3,
        "all": 3,
        "updated": 3,
        "available": 3,
        "revision": 2,
    }
    return line("Deployment", "shop", **{**complete, **fields})


def stateful_set(**fields: object) -> str:
    complete = {"generation": 5, "observed": 5, "replicas": 1, "all": 1, "updated": 1, "available": 1}
    return line(
        "StatefulSet", "shop-redis", **{**complete, "current": "redis-new", "update": "redis-new", **fields}
    )


def replica_sets(**of_revision: str) -> str:
    """By their pods' hash: old="1"."""
    return "".join(
        line("ReplicaSet", f"shop-{name}", revision=of, hash=name) for name, of in of_revision.items()
    )


def pod(name: str, pod_hash: str, waiting: str = "", **fields: object) -> str:
    return line(
        "Pod", name, hash=pod_hash, waiting=f" {waiting} ", restarts=fields.pop("restarts", 0), **fields
    )
