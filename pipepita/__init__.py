"""pipepita: PEPITA (Dellaferrera & Kreiman, ICML 2022) as a pipeline, with update locking relaxed for real.

    >>> import pipepita as pp
    >>> pp.Pepita().form
    'difference'

A name is imported when it is used. Importing the package starts nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from pipepita.version import __version__

if TYPE_CHECKING:
    from pipepita.data import Data, load
    from pipepita.edge.deploy import deployed
    from pipepita.engines.local import LocalEngine
    from pipepita.engines.ray.engine import RayEngine
    from pipepita.errors import Diverged, PipepitaError, RunError, StageDied, UserError
    from pipepita.live.entry import Prediction
    from pipepita.live.learn import online
    from pipepita.measurement.latency import latency
    from pipepita.measurement.plan import Planned, plan
    from pipepita.measurement.report import Latency
    from pipepita.network.grow import normalized
    from pipepita.network.spec import build, initialise
    from pipepita.rules import (
        Backprop,
        Defaults,
        DirectFeedbackAlignment,
        ErrorVectors,
        FeedbackAlignment,
        FixedSigns,
        Learner,
        LocalLoss,
        Pepita,
        Product,
        RandomSigns,
        Reads,
        Rule,
        SyntheticGradients,
        TargetProjection,
        UniformSigns,
    )
    from pipepita.rules.gradient import GradientLearner
    from pipepita.runs.evaluate import evaluate
    from pipepita.runs.export import export
    from pipepita.runs.result import Result
    from pipepita.runs.resume import resume
    from pipepita.runs.train import train
    from pipepita.schedule import Flow
    from pipepita.tuning.search import tune

_HOMES = {
    "Backprop": "rules",
    "Data": "data",
    "Defaults": "rules",
    "DirectFeedbackAlignment": "rules",
    "Diverged": "errors",
    "ErrorVectors": "rules",
    "FeedbackAlignment": "rules",
    "FixedSigns": "rules",
    "Flow": "schedule",
    "GradientLearner": "rules.gradient",
    "Latency": "measurement.report",
    "Learner": "rules",
    "LocalEngine": "engines.local",
    "LocalLoss": "rules",
    "Pepita": "rules",
    "PipepitaError": "errors",
    "Prediction": "live.entry",
    "Planned": "measurement.plan",
    "Product": "rules",
    "RandomSigns": "rules",
    "RayEngine": "engines.ray.engine",
    "Reads": "rules",
    "Result": "runs.result",
    "Rule": "rules",
    "RunError": "errors",
    "StageDied": "errors",
    "SyntheticGradients": "rules",
    "TargetProjection": "rules",
    "UniformSigns": "rules",
    "UserError": "errors",
    "build": "network.spec",
    "deployed": "edge.deploy",
    "evaluate": "runs.evaluate",
    "export": "runs.export",
    "initialise": "network.spec",
    "latency": "measurement.latency",
    "load": "data",
    "normalized": "network.grow",
    "online": "live.learn",
    "plan": "measurement.plan",
    "resume": "runs.resume",
    "train": "runs.train",
    "tune": "tuning.search",
}
__all__ = [*sorted(_HOMES)]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'pipepita' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"pipepita.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*globals(), *_HOMES]
