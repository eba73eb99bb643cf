"""`python -m bench.race.tries`: the learning rates of the race, three tries for each rule.

Each learns as it will in the race, from half as many items and with another seed: 10,000 items, two epochs. It is
tested on a tenth of the training items, which it does not learn from, so that no rate is chosen by the test items.
"""

from __future__ import annotations

from typing import Any

import pipepita as pp
from bench.common import main, note
from bench.crew import Crew
from bench.race.course import Course
from bench.race.measure import OURS, RATES, Contender, backpropagation, streaming

_TRIED = (0.0003, 0.001, 0.003)
_SEED = 100


def measure(quick: bool) -> list[dict[str, Any]]:
    """One row per rule: accuracy on the held-out items after the last epoch, in percent, by rate; and the best rate."""
    course = Course(items=1000 if quick else 10_000, epochs=1 if quick else 2, held_out=0.1)
    engine = pp.RayEngine(2, device="cpu")
    table = []
    with Crew(1) as alone:
        try:
            for rule in RATES:
                accuracies = {}
                for rate in _TRIED:
                    contender: Contender
                    if rule in OURS:
                        contender = streaming(rule, course, engine, "2,2", rate)
                    else:
                        contender = backpropagation(rule, course, alone, 1, "one process", 1, lr=rate)
                    accuracies[rate] = contender.run(_SEED)[-1][2]
                    note(f"{rule}, {rate:g}: {accuracies[rate]:.2f} %")
                row: dict[str, Any] = {"what": rule} | {f"{rate:g}": f"{accuracies[rate]:.2f}" for rate in _TRIED}
                table.append(row | {"best": f"{max(accuracies, key=lambda rate: accuracies[rate]):g}"})
        finally:
            engine.close()
    return table


if __name__ == "__main__":
    main(measure, __doc__)
