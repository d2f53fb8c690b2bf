"""One factory for every way to reach Redis: standalone, URL, Sentinel, Cluster."""

from collections.abc import Callable
from typing import Any, TypeAlias

import structlog
from pydantic import SecretStr
from redis.asyncio import (
    BlockingConnectionPool,
    Connection,
    Redis,
    RedisCluster,
    Sentinel,
    SentinelConnectionPool,
)
from redis.asyncio.connection import SSLConnection, parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.credentials import CredentialProvider
from redis.exceptions import AuthenticationError

from app.redis.cluster import ClusterOfOneKey
from app.redis.tls import CurrentFilesConnection, CurrentFilesMasterConnection, read_files_again
from app.settings import Settings, SettingsError

RedisClient: TypeAlias = Redis | RedisCluster
log = structlog.get_logger(__name__)

Credentials: TypeAlias = tuple[()] | tuple[str] | tuple[str, str]
"""What AUTH is sent with: nothing, a password, or a user and a password."""
ONE_CONNECTION = 1
"""To each server, so a client is for one command at a time. With more, the ASKING that redis-py sends before
it follows a slot on the move may reach another connection than the command does."""


class CurrentCredentials(CredentialProvider):
    """Reads the credentials again at every connect, so that a rotated file needs no restart."""

    def __init__(
        self,
        settings: Settings,
        read: Callable[[Settings], Credentials],
        on_reconnect: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_reconnect` hears of every connection after the first that these are read for."""
        self._settings = settings
        self._read = read
        self._on_reconnect = on_reconnect
        self._has_connected = False

    # redis-py sends no AUTH where there is nothing to send; its types do not tell.
    def get_credentials(self) -> Credentials:  # type: ignore[override]
        if self._has_connected:
            self._on_reconnect()
        self._has_connected = True
        try:
            return self._read(self._settings.fresh())
        except SettingsError as error:
            log.warning("the credentials cannot be read", reason=str(error))
            raise AuthenticationError(str(error)) from None

    async def get_credentials_async(self) -> Credentials:  # type: ignore[override]
        return self.get_credentials()


def _of_redis(settings: Settings) -> Credentials:
    in_url = parse_url(settings.redis_url.get_secret_value()) if settings.redis_url else {}
    return _credentials(
        _plain(settings.redis_username) or in_url.get("username"),
        _plain(settings.redis_password) or in_url.get("password"),
    )


def _of_the_sentinels(settings: Settings) -> Credentials:
    return _credentials(_plain(settings.redis_sentinel_username), _plain(settings.redis_sentinel_password))


def _plain(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret else None


def _credentials(username: str | None, password: str | None) -> Credentials:
    if username:
        return username, password or ""
    return (password,) if password else ()


class SentinelMaster(Redis):
    """The master that the sentinels name; redis-py leaves the connections to the sentinels open."""

    @property
    def sentinels(self) -> list[Redis]:
        """A client for each."""
        assert isinstance(self.connection_pool, SentinelConnectionPool)  # noqa: S101 - what master_for makes
        sentinels: list[Redis] = self.connection_pool.sentinel_manager.sentinels
        return sentinels

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        """Close the connections to the master and to the sentinels."""
        await super().aclose(close_connection_pool)
        for sentinel in self.sentinels:
            await sentinel.aclose()


def make_redis(settings: Settings, on_reconnect: Callable[[], None] = lambda: None) -> RedisClient:
    """Build a client for one command at a time. The caller closes it with `aclose()`.

    `on_reconnect` hears of every connection to Redis after the first: to whichever node of a Cluster.
    """
    options: dict[str, Any] = {
        "client_name": "visits",
        "socket_timeout": settings.redis_timeout,
        "socket_connect_timeout": settings.redis_timeout,
        "socket_keepalive": True,
        # Whoever sends a command decides whether, when and how often to send it again.
        "retry": Retry(NoBackoff(), 0),
        # RESP2 needs no HELLO, which some managed proxies refuse.
        "protocol": 2,
        "credential_provider": CurrentCredentials(settings, _of_redis, on_reconnect),
    }
    if settings.redis_cluster:
        if settings.redis_tls:
            options |= {"ssl": True, **_tls_options(settings)}
        cluster = ClusterOfOneKey(
            settings.counter_key,
            host=settings.redis_host,
            port=settings.redis_port,
            max_connections=ONE_CONNECTION,
            **options,
        )
        if settings.redis_tls:
            read_files_again(cluster)
        return cluster
    if settings.redis_sentinels:
        return _from_sentinels(settings, options)
    return Redis.from_pool(_pool(settings, options))


def _from_sentinels(settings: Settings, options: dict[str, Any]) -> Redis:
    if settings.redis_tls:
        options |= {"ssl": True, **_tls_options(settings)}
    sentinel = Sentinel(  # type: ignore[no-untyped-call]
        settings.redis_sentinels,
        sentinel_kwargs=options
        | {
            "credential_provider": CurrentCredentials(settings, _of_the_sentinels),
            # They are asked one after the other within the time of one command: one that hangs must leave
            # enough for the others, and for the master.
            "socket_timeout": settings.redis_timeout / (len(settings.redis_sentinels) + 1),
            "socket_connect_timeout": settings.redis_timeout / (len(settings.redis_sentinels) + 1),
        },
        db=settings.redis_db,
        max_connections=ONE_CONNECTION,
        **options,
    )
    to_master: dict[str, Any] = {}
    if settings.redis_tls:
        to_master["connection_class"] = CurrentFilesMasterConnection
        for one in sentinel.sentinels:
            read_files_again(one)
    master: Redis = sentinel.master_for(
        str(settings.redis_sentinel_master), redis_class=SentinelMaster, **to_master
    )
    return master


def _pool(settings: Settings, options: dict[str, Any]) -> BlockingConnectionPool:
    if settings.redis_url is not None:
        where: dict[str, Any] = dict(parse_url(settings.redis_url.get_secret_value()))
        # They come from CurrentCredentials, and redis-py refuses both.
        where.pop("username", None)
        where.pop("password", None)
        # Whatever app.redis_url lets pass here is what _tls_options sets anyway.
        where.pop("ssl_cert_reqs", None)
    else:
        where = {"host": settings.redis_host, "port": settings.redis_port, "db": settings.redis_db}
        where["connection_class"] = SSLConnection if settings.redis_tls else Connection
    if where.get("connection_class") is SSLConnection:
        where |= {"connection_class": CurrentFilesConnection, **_tls_options(settings)}
    if "path" in where:
        del options["socket_keepalive"]
    return BlockingConnectionPool(
        max_connections=ONE_CONNECTION, timeout=settings.redis_timeout, **where, **options
    )


def _tls_options(settings: Settings) -> dict[str, Any]:
    files = {
        "ssl_ca_certs": settings.redis_tls_ca_file,
        "ssl_certfile": settings.redis_tls_cert_file,
        "ssl_keyfile": settings.redis_tls_key_file,
    }
    return {"ssl_cert_reqs": "required", "ssl_check_hostname": True} | {
        name: str(path) for name, path in files.items() if path is not None
    }


async def look_up_again(redis: RedisClient) -> None:
    """Make the next command connect anew: find the master of now, read the credentials of now."""
    if isinstance(redis, RedisCluster):
        await redis.aclose()
        return
    for asked in (redis, *(redis.sentinels if isinstance(redis, SentinelMaster) else ())):
        await asked.connection_pool.disconnect(inuse_connections=False)
