"""Placement: which texts are understood, and that stages are where they were asked to be."""

from __future__ import annotations

import time
from importlib import import_module

import pytest
import ray
from nodes import nodes

import pipepita as pp
from pipepita.engines.ray import placement


@pytest.mark.parametrize("text", ["pack", " spread ", "one-per-host", "10.0.0.1", "a,b , c"])
def test_placements_that_are_understood(text):
    placement.check(text)


@pytest.mark.parametrize("text", ["", " ", ",", "a,,b", "a,"])
def test_placements_that_are_not_understood(text):
    with pytest.raises(pp.UserError, match="is neither pack, spread, one-per-host nor one node per stage, like A,B,B"):
        placement.check(text)


def offered(monkeypatch, taken=frozenset(), **facts) -> list[str]:
    """The nodes that a lost stage would be offered. Of four, c does not answer, and b has most room."""
    known = [
        {"NodeID": name, "NodeName": name, "NodeManagerAddress": address}
        for name, address in (("a", "10.0.0.1"), ("b", "10.0.0.1"), ("c", "10.0.0.1"), ("d", "10.0.0.2"))
    ]
    monkeypatch.setattr(placement, "alive_nodes", lambda: known)
    monkeypatch.setattr(placement, "_free_cpus", lambda: {"a": 1, "b": 4, "d": 2})
    monkeypatch.setattr(placement, "_answers", lambda node: node["NodeID"] != "c")
    monkeypatch.setattr(placement, "_onto", lambda name: name)
    made = placement.Placement.__new__(placement.Placement)
    vars(made).update({"_group": None, "_one_per_host": False, "_in_group": lambda index: "reserved"} | facts)
    return made.candidates(0, set(taken))


def test_a_lost_stage_goes_where_there_is_most_room(monkeypatch):
    assert offered(monkeypatch, _names=["10.0.0.1"]) == ["b", "a"]
    assert offered(monkeypatch, _names=["d"]) == ["d"]
    assert offered(monkeypatch, _names=["c"]) == []


def test_a_lost_stage_gets_its_own_room_first_and_a_host_of_its_own_if_each_has_one(monkeypatch):
    for reserved, first in (("a", ["reserved"]), ("c", [])):
        monkeypatch.setattr(
            import_module("ray.util.placement_group"),  # ray.util has a function of that name
            "placement_group_table",
            lambda group, reserved=reserved: {"bundles_to_node_id": {0: reserved}},
        )
        others = [name for name in ("b", "d", "a") if name != reserved]
        assert offered(monkeypatch, _group="group") == first + others
        others.remove("b")
        assert offered(monkeypatch, {"b"}, _group="group", _one_per_host=True) == first + others


def _wait_for_room(address, cpus):
    """Waits until the CPUs are free: Ray frees them in the background, and spreads only over nodes with free ones."""
    ray.init(address=address, log_to_driver=False)
    while ray.available_resources().get("CPU", 0) < cpus:
        time.sleep(0.1)
    ray.shutdown()


@pytest.mark.slow
def test_stages_are_where_they_were_asked_to_be(few_digits, every_case):
    with nodes(2, 2) as cluster:
        head, second = (node.node_id for node in cluster.list_all_nodes())
        expected = pp.train(pp.build("fc:24", few_digits.item_shape, 10), few_digits, engine="local", epochs=1)
        asked_for = {f"{second},{head}": [second, head]}
        if every_case:
            asked_for |= {"one-per-host": [2], "pack": [1], "spread": [2], f"{second},{second}": [second, second]}
        for asked, nodes_of in asked_for.items():
            engine = pp.RayEngine(2, address=cluster.address, device="cpu", placement=asked)
            try:
                net = pp.build("fc:24", few_digits.item_shape, 10)
                result = pp.train(net, few_digits, engine=engine, epochs=1)
                assert result.weights_sha256 == expected.weights_sha256
                placed_on = [place.node for place in ray.get([actor.where.remote() for actor in engine._actors])]
                assert ([len(set(placed_on))] if len(nodes_of) == 1 else placed_on) == nodes_of, asked
            finally:
                engine.close()
            _wait_for_room(cluster.address, cpus=4)
        for stages, asked, words in (
            (2, "nowhere,nowhere", "unknown node 'nowhere'"),
            (2, head, "names 1 nodes for 2 stages: one each"),
            (3, "one-per-host", "placement 'one-per-host': 3 stages need as many nodes, but the cluster has 2"),
            (5, "pack", "5 stages need 5 CPUs, but the cluster has 4: use fewer --stages"),
        ):
            with pytest.raises(pp.UserError, match=words):
                pp.RayEngine(stages, address=cluster.address, device="cpu", placement=asked)
