"""The experiments by the name that `pipepita reproduce` takes. One is loaded when it is run, and not before."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, NamedTuple

from pipepita.errors import unknown

if TYPE_CHECKING:
    from pipepita.experiments.experiment import Experiment


class Entry(NamedTuple):
    """Where an experiment is, and what it shows.

    Attributes:
        where: A module of this package, and the name of its `Experiment`.
    """

    where: str
    line: str


EXPERIMENTS = {
    "table1": Entry("table1:TABLE_1", "rules x data sets x networks, next to the paper's table 1"),
    "slowness": Entry("slowness:SLOWNESS", "how fast each rule nears its plateau"),
    "alignment": Entry("alignment:ALIGNMENT", "the angle between F and the product of the weights"),
    "ablation": Entry("ablation:ABLATION", "PEPITA without the error, or with noise in its place"),
    "weights": Entry("weights:WEIGHTS", "how the hidden layer's weights are distributed"),
    "whitening": Entry("whitening:WHITENING", "what rules gain from whitened inputs"),
    "tsne": Entry("tsne:T_SNE", "how far classes separate in the hidden layer"),
    "depth": Entry("depth:DEPTH", "1 to 8 hidden layers, and what makes depth work"),
    "depth-conv": Entry(
        "depth_conv:DEPTH_CONV", "1 to 6 convolutions, by rules with and without a global backward pass"
    ),
    "depth-conv-rates": Entry(
        "depth_conv:DEPTH_CONV_RATES", "the learning rates of depth-conv: three tries for each rule"
    ),
    "signs": Entry("signs:SIGNS", "deep convolutional networks with sign-concordant feedback"),
    "locality": Entry("locality:LOCALITY", "every rule on equal terms: tuned alike, and what each costs here"),
    "memory": Entry("memory:MEMORY", "what is kept of a sample, if the standard pass is computed again or not"),
}


def experiment(name: str) -> Experiment:
    """The experiment called `name`. `UserError` if there is none.

    Example:
        >>> from pipepita.experiments.experiment import Scale
        >>> len(experiment("table1").cells(Scale()))
        24
    """
    if name not in EXPERIMENTS:
        raise unknown("experiment", name, EXPERIMENTS)
    module, _, constant = EXPERIMENTS[name].where.partition(":")
    found: Experiment = getattr(importlib.import_module(f"pipepita.experiments.{module}"), constant)
    return found
