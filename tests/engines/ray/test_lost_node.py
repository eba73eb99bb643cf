"""A node is lost, and a stage with it."""

from __future__ import annotations

import time

import pytest
import ray
from faults import OPTIONS, Log, model
from nodes import nodes

import pipepita as pp
from pipepita.engines.ray.placement import Placement


@pytest.mark.slow
@pytest.mark.rest  # test_hosts.py loses one, too, with a network between
def test_a_lost_node(few_digits):
    """Its stage goes to another node, long before Ray has seen that this one is gone."""
    options = {**OPTIONS, "epochs": 60}  # it takes seconds until a node is dead
    whole = pp.train(model(few_digits), few_digits, engine="local", stages=2, **options)
    with nodes(1) as cluster:
        second = cluster.add_node(num_cpus=1)
        engine = pp.RayEngine(2, address=cluster.address, device="cpu", placement="one-per-host")
        try:
            with pytest.raises(pp.UserError, match="placement 'one-per-host': 3 stages need as many nodes"):
                Placement("one-per-host", 3, {"CPU": 1.0}, "")
            third = cluster.add_node(num_cpus=1)
            began = []

            def lose(sample):
                if sample == 22:
                    began.append(time.monotonic())
                    cluster.remove_node(second, allow_graceful=False)

            log = Log(lose)
            result = pp.train(model(few_digits), few_digits, engine=engine, observer=log, stages=2, **options)
            assert (result.weights_sha256, result.restarts) == (whole.weights_sha256, 1)
            places = ray.get([actor.where.remote() for actor in engine._actors])
            assert {place.node for place in places} == {cluster.head_node.node_id, third.node_id}
        finally:
            engine.close()
