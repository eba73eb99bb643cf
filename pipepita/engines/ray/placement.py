"""Which node each stage's actor goes to.

pack            as few nodes as possible: hops stay inside a host
spread          as many nodes as there are, as evenly as possible
one-per-host    every stage on a node of its own, or an error
A,B,B           stage 0 on node A, the others on B: addresses, names (`ray start --node-name`) or ids of nodes
"""

from __future__ import annotations

import contextlib
from typing import Any

from pipepita.engines.ray.cluster import load_ray
from pipepita.engines.ray.head import answers
from pipepita.errors import UserError, unknown

STRATEGIES = {"pack": "PACK", "spread": "SPREAD", "one-per-host": "STRICT_SPREAD"}
_SECONDS = 30.0


def check(placement: str) -> None:
    """Raises `UserError` if a placement is neither a strategy nor a list of nodes."""
    single = placement.strip()
    if single in STRATEGIES:
        return
    if not single or not all(part.strip() for part in single.split(",")):
        raise UserError(
            f"placement {placement!r} is neither {', '.join(STRATEGIES)} nor one node per stage, like A,B,B"
        )


class Placement:
    """Room for `stages` actors, each with the resources of `bundle`. Raises `UserError` if the cluster has none.

    words: what is needed, for errors.
    """

    def __init__(self, placement: str, stages: int, bundle: dict[str, float], words: str) -> None:
        check(placement)
        self._group: Any = None
        self._names: list[str] = []
        self._one_per_host = False
        self._ray = load_ray()
        placement = placement.strip()
        if placement not in STRATEGIES:
            self._names = [name.strip() for name in placement.split(",")]
            if len(self._names) != stages:
                raise UserError(f"placement {placement!r} names {len(self._names)} nodes for {stages} stages: one each")
            for name in self._names:
                self._node(name)
            return
        self._one_per_host = placement == "one-per-host"
        nodes = len(alive_nodes())
        if self._one_per_host and nodes < stages:
            raise UserError(f"placement {placement!r}: {stages} stages need as many nodes, but the cluster has {nodes}")
        from ray.util.placement_group import placement_group

        self._group = placement_group([bundle] * stages, strategy=STRATEGIES[placement])
        if not self._group.wait(_SECONDS):
            free = self._ray.available_resources()
            self.close()
            raise UserError(
                f"{words}, but only {free.get('CPU', 0):g} CPUs and {free.get('GPU', 0):g} GPUs of the cluster "
                "are free: use fewer --stages, or wait for other jobs"
            )

    def strategy(self, index: int) -> Any:
        """Ray's scheduling strategy for the actor of stage `index`."""
        return self._in_group(index) if self._group is not None else _onto(self._node(self._names[index])["NodeID"])

    def _in_group(self, index: int) -> Any:
        from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

        return PlacementGroupSchedulingStrategy(self._group, placement_group_bundle_index=index)

    def answers(self, node_id: str) -> bool:
        """Whether Ray takes the node with this id for alive, and it takes a connection."""
        return any(_answers(node) for node in alive_nodes() if node["NodeID"] == node_id)

    def candidates(self, index: int, taken: set[str]) -> list[Any]:
        """Strategies for a new actor of stage `index`, whose old one is lost. The best comes first; there may be none.

        taken: the ids of the nodes that hold other stages. Only nodes that answer count: Ray takes a minute to see that
        a node has been cut off, and places actors there meanwhile.
        """
        free = _free_cpus()
        nodes = sorted(alive_nodes(), key=lambda node: -free.get(node["NodeID"], 0))
        answering = {node["NodeID"]: node for node in nodes if _answers(node)}
        if self._group is None:
            return [_onto(id) for id, node in answering.items() if self._names[index] in _names(node)]
        from ray.util.placement_group import placement_group_table

        reserved = placement_group_table(self._group).get("bundles_to_node_id", {}).get(index)
        others = [id for id in answering if id != reserved and not (self._one_per_host and id in taken)]
        return [self._in_group(index)] * (reserved in answering) + [_onto(id) for id in others]

    def _node(self, name: str) -> dict[str, Any]:
        """The node with this address, name or id; `UserError` if there is none."""
        nodes = alive_nodes()
        for node in nodes:
            if name in _names(node):
                return node
        raise unknown("node", name, {node["NodeManagerAddress"] for node in nodes})

    def close(self) -> None:
        """Gives the room back."""
        if self._group is not None:
            from ray.util.placement_group import remove_placement_group

            with contextlib.suppress(Exception):  # the cluster may be gone already
                remove_placement_group(self._group)
            self._group = None


def alive_nodes() -> list[dict[str, Any]]:
    """What Ray knows of every node that it takes for alive."""
    return [node for node in load_ray().nodes() if node["Alive"]]


def own_raylet() -> str:
    """The address of the raylet that this process belongs to, "host:port"; "" if it cannot be reached from here."""
    own = load_ray().get_runtime_context().get_node_id()
    for node in alive_nodes():
        if node["NodeID"] == own and _answers(node):
            return f"{node['NodeManagerAddress']}:{node['NodeManagerPort']}"
    return ""


def _free_cpus() -> dict[str, float]:
    """The free CPUs of each node, by its id; nothing if Ray does not say."""
    with contextlib.suppress(Exception):  # not in Ray's public interface
        by_node = load_ray()._private.state.available_resources_per_node()
        return {node: resources.get("CPU", 0.0) for node, resources in by_node.items()}
    return {}


def _names(node: dict[str, Any]) -> tuple[str, str | None, str]:
    """All that a node may be called by."""
    return node["NodeManagerAddress"], node.get("NodeName"), node["NodeID"]


def _onto(node_id: str) -> Any:
    """The strategy that places an actor on this node, and on no other."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    return NodeAffinitySchedulingStrategy(node_id, soft=False)


def _answers(node: dict[str, Any]) -> bool:
    """Whether the node's own Ray process takes a connection."""
    return answers((node["NodeManagerAddress"], node["NodeManagerPort"]))
