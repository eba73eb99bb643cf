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

if TYPE_CHECKING:  # "as" says to type checkers that these names are for everybody
    from pipepita.data import Data as Data, load as load
    from pipepita.edge.deploy import deployed as deployed
    from pipepita.engines.local import LocalEngine as LocalEngine
    from pipepita.engines.ray.engine import RayEngine as RayEngine
    from pipepita.errors import (
        Diverged as Diverged,
        PipepitaError as PipepitaError,
        RunError as RunError,
        StageDied as StageDied,
        UserError as UserError,
    )
    from pipepita.live.entry import Prediction as Prediction
    from pipepita.live.learn import online as online
    from pipepita.measurement.latency import latency as latency
    from pipepita.measurement.plan import Planned as Planned, plan as plan
    from pipepita.measurement.report import Latency as Latency
    from pipepita.network.grow import normalized as normalized
    from pipepita.network.spec import build as build, initialise as initialise
    from pipepita.rules import (
        Backprop as Backprop,
        Defaults as Defaults,
        DirectFeedbackAlignment as DirectFeedbackAlignment,
        ErrorVectors as ErrorVectors,
        FeedbackAlignment as FeedbackAlignment,
        FixedSigns as FixedSigns,
        Learner as Learner,
        LocalLoss as LocalLoss,
        Pepita as Pepita,
        Product as Product,
        RandomSigns as RandomSigns,
        Reads as Reads,
        Rule as Rule,
        SyntheticGradients as SyntheticGradients,
        TargetProjection as TargetProjection,
        UniformSigns as UniformSigns,
    )
    from pipepita.rules.gradient import GradientLearner as GradientLearner
    from pipepita.runs.evaluate import evaluate as evaluate
    from pipepita.runs.store.export import export as export
    from pipepita.runs.result import Result as Result
    from pipepita.runs.resume import resume as resume
    from pipepita.runs.train import train as train
    from pipepita.schedule import Flow as Flow
    from pipepita.tuning.search import tune as tune

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
    "export": "runs.store.export",
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


if not TYPE_CHECKING:  # so that type checkers see a name that does not exist

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module 'pipepita' has no attribute {name!r}")
        value = getattr(importlib.import_module(f"pipepita.{_HOMES[name]}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return [*globals(), *_HOMES]
