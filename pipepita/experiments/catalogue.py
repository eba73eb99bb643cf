"""The experiments by the name that `pipepita reproduce` takes."""

from __future__ import annotations

from pipepita.experiments.ablation import ABLATION
from pipepita.experiments.alignment import ALIGNMENT
from pipepita.experiments.depth import DEPTH
from pipepita.experiments.depth_conv import DEPTH_CONV, DEPTH_CONV_RATES
from pipepita.experiments.experiment import Experiment
from pipepita.experiments.locality import LOCALITY
from pipepita.experiments.memory import MEMORY
from pipepita.experiments.signs import SIGNS
from pipepita.experiments.slowness import SLOWNESS
from pipepita.experiments.table1 import TABLE_1
from pipepita.experiments.tsne import T_SNE
from pipepita.experiments.weights import WEIGHTS
from pipepita.experiments.whitening import WHITENING

EXPERIMENTS: dict[str, Experiment] = {
    "table1": TABLE_1,
    "slowness": SLOWNESS,
    "alignment": ALIGNMENT,
    "ablation": ABLATION,
    "weights": WEIGHTS,
    "whitening": WHITENING,
    "tsne": T_SNE,
    "depth": DEPTH,
    "depth-conv": DEPTH_CONV,
    "depth-conv-rates": DEPTH_CONV_RATES,
    "signs": SIGNS,
    "locality": LOCALITY,
    "memory": MEMORY,
}
