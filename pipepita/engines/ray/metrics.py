"""How the stages are, as gauges of an existing cluster, for Prometheus.

    ray start --head --metrics-export-port=8080        # then http://HOST:8080/metrics has ray_pipepita_stage_queue ...

Ray's agent on the coordinator's node exports them, with tags of its own: WorkerId tells runs apart. The agent needs
pip install 'ray[default]' on that node. Without it Ray works, but exports nothing. About 30 s after a run has ended,
its gauges are gone.
"""

from __future__ import annotations

from pipepita.engines.ray.cluster import load_ray
from pipepita.pipeline.pulse import Pulse

_GAUGES = {
    "step": ("pipepita_stage_step", "sample of the stage's latest message"),
    "queue": ("pipepita_stage_queue", "messages that wait for the stage"),
    "busy": ("pipepita_stage_busy", "share of the time in which the stage did not wait for a message, 0 to 1"),
    "memory": ("pipepita_stage_memory_bytes", "resident bytes of the stage's process"),
}


class Gauges:
    """One gauge for each entry of a pulse, with the tag `stage`. This process must have joined a cluster."""

    def __init__(self) -> None:
        load_ray()
        from ray.util.metrics import Gauge

        self._gauges = {
            entry: Gauge(name, description=words, tag_keys=("stage",)) for entry, (name, words) in _GAUGES.items()
        }

    def set(self, stage: int, pulse: Pulse) -> None:
        """Sets the gauges of one stage to what its pulse says."""
        for entry, gauge in self._gauges.items():
            gauge.set(getattr(pulse, entry), {"stage": str(stage)})
