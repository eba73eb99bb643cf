"""Clusters of several nodes on this machine, for tests of where stages are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import ray
from ray.cluster_utils import Cluster

from pipepita.engines.ray.cluster import helpers_left_out


@contextmanager
def nodes(*cpus: int) -> Iterator[Cluster]:
    """A cluster with a node for each of these numbers of CPUs, the head first. This process is not connected to it."""
    if ray.is_initialized():
        ray.shutdown()
    with helpers_left_out(ray):
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": cpus[0], "include_dashboard": False})
        try:
            for count in cpus[1:]:
                cluster.add_node(num_cpus=count)
            yield cluster
        finally:
            cluster.shutdown()
