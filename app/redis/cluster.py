"""A Redis Cluster of which one key is used: nothing waits for the nodes that do not hold it."""

from typing import Any, Self

from redis.asyncio import RedisCluster
from redis.event import AsyncAfterSlotsCacheRefreshEvent, AsyncEventListenerInterface, EventDispatcher
from redis.typing import EncodableT


class ClusterOfOneKey(RedisCluster):
    """Asks any node for the slots alone, and for all else the one that holds the key.

    redis-py itself sends what has no key (PING, and the COMMAND with which a client begins) to the node of
    the lowest slot, and the first command of all to any node, which says where it belongs: one that hangs
    would keep a counter waiting that it has nothing to do with.

    After its first look at the slots it also asks only the nodes that were named there: once all of them have
    new addresses, as after a restart of the whole Cluster, it would never find it again.
    """

    def __init__(self, key: str, **options: Any) -> None:  # noqa: ANN401 - as redis-py takes them
        events = EventDispatcher()
        super().__init__(event_dispatcher=events, **options)
        events.register_listeners({AsyncAfterSlotsCacheRefreshEvent: [_HolderIsDefault(self, key)]})

    async def initialize(self, *args: Any, **kwargs: Any) -> Self:  # noqa: ANN401 - as redis-py takes them
        """Look where the slots are, unless that is known; the configured node may be asked each time."""
        for node in self.startup_nodes:
            self.nodes_manager.startup_nodes.setdefault(node.name, node)
        await super().initialize(*args, **kwargs)
        return self

    async def execute_command(self, *args: EncodableT, **kwargs: Any) -> Any:  # noqa: ANN401 - as redis-py has it
        """Send a command, once it is known where to."""
        await self.initialize()
        return await super().execute_command(*args, **kwargs)


class _HolderIsDefault(AsyncEventListenerInterface):
    """Hears when the slots were asked for, before COMMAND is sent, and when a command was sent on."""

    def __init__(self, cluster: RedisCluster, key: str) -> None:
        self._cluster = cluster
        self._key = key

    async def listen(self, event: object) -> None:  # noqa: ARG002 - it tells nothing more
        holder = self._cluster.get_node_from_key(self._key)
        assert holder is not None  # noqa: S101 - only a replica may be missing
        self._cluster.set_default_node(holder)
