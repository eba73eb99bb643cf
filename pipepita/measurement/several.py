"""Several jobs measured with one engine: speed-up against depth, or rule against rule."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

from pipepita.data import load
from pipepita.engines.ray.engine import RayEngine
from pipepita.measurement.latency import OPTIONS, check, latency
from pipepita.measurement.report import Latency
from pipepita.network.cut import cut
from pipepita.progress import Progress, silent
from pipepita.runs.options.job import Job


def several(
    jobs: Sequence[tuple[str, Job]],
    *,
    rounds: int,
    seconds: float,
    progress: Progress = silent,
) -> list[Latency]:
    """`latency` for each job, under its name. The jobs differ only in network and rule; each summary says in which."""
    common = jobs[0][1]
    data = load(common.dataset, data_dir=common.data_dir, download=common.download)
    models = [job.model(data) for _, job in jobs]
    depths = [len(cut(model, data.item_shape, data.classes, regression=data.regression)) for model in models]
    stages = [check(depth, job.options(), rounds, seconds) for (_, job), depth in zip(jobs, depths, strict=True)]
    measured = []
    with ExitStack() as cleanup:
        engine = RayEngine(max(stages), address=common.address, device=common.device)
        cleanup.callback(engine.close)
        for number, ((name, job), model) in enumerate(zip(jobs, models, strict=True)):

            def advance(done: int, total: int, what: str, before: int = number, name: str = name) -> None:
                progress(before * total + done, len(jobs) * total, f"{name} {what}".strip())

            one = latency(
                model, data, rule=job.make_rule(), rounds=rounds, seconds=seconds, engine=engine,
                progress=advance, **job.options().model_dump(include=set(OPTIONS) - {"lr"}),
            )  # fmt: skip
            one.summary = {"name": name, "network": job.network, **one.summary}
            measured.append(one)
    return measured
