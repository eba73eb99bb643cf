"""Several networks of one job measured with one engine: speed-up against depth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack

from pipepita.data import load
from pipepita.engines.ray import RayEngine
from pipepita.job import Job
from pipepita.measurement.latency import OPTIONS, check, latency
from pipepita.measurement.report import Latency
from pipepita.network import spec
from pipepita.network.cut import cut


def several(
    networks: Sequence[str],
    job: Job,
    *,
    rounds: int,
    seconds: float,
    progress: Callable[[int, int, str], None] = lambda done, total, what: None,
) -> list[Latency]:
    """`latency` for each of these spec strings, everything else as `job` says; each summary says its network."""
    data = load(job.dataset, data_dir=job.data_dir, download=job.download)
    models = [
        spec.build(
            network, data.item_shape, data.classes,
            activation=job.activation, dropout=job.dropout, normal=job.normalize,
        )
        for network in networks
    ]  # fmt: skip
    depths = [len(cut(model, data.item_shape, data.classes)) for model in models]
    for depth in depths:
        check(depth, job.options(), job.window, rounds, seconds)
    options = job.options().model_dump(include=set(OPTIONS) - {"lr"})
    found = []
    with ExitStack() as cleanup:
        engine = RayEngine(job.stages or max(depths), address=job.address, device=job.device)
        cleanup.callback(engine.close)
        for number, (network, model) in enumerate(zip(networks, models, strict=True)):

            def advance(done: int, total: int, what: str, before: int = number, network: str = network) -> None:
                progress(before * total + done, len(networks) * total, f"{network} {what}".strip())

            one = latency(
                model, data, rule=job.make_rule(), window=job.window, rounds=rounds, seconds=seconds, engine=engine,
                progress=advance, **options,
            )  # fmt: skip
            one.summary = {"network": network, **one.summary}
            found.append(one)
    return found
