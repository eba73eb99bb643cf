from __future__ import annotations

import dataclasses

import pytest
from mnist_like import write

import pipepita as pp
from pipepita.experiments import grid
from pipepita.experiments.cell import Cell, read

DIGITS = Cell("pepita", "digits", {"dataset": "digits", "network": "fc:16", "lr": 0.1}, epochs=1)
MNIST = Cell("bp", "mnist", {"dataset": "mnist", "network": "fc:16", "lr": 0.1, "rule": "bp"}, epochs=1)


def outcomes(cells, folder, data_dir=None, jobs=2):
    said, steps = [], []
    found = grid.outcomes(
        cells, folder, data_dir=data_dir, jobs=jobs, progress=lambda *step: steps.append(step), warn=said.append
    )
    return found, said, steps


@pytest.mark.slow
def test_cells_run_are_kept_and_not_run_again_and_one_that_cannot_be_is_named(tmp_path, digits, every_case):
    data_dir = write(tmp_path / "data", digits)
    cells = [DIGITS, MNIST]
    found, said, steps = outcomes(cells, tmp_path / "cells", data_dir, jobs=2 if every_case else 1)
    assert [outcome.cell for outcome in found] == cells
    assert all(outcome.accuracy > 20 for outcome in found)
    assert not said
    assert steps[-1][:2] == (1000, 1000)
    (tmp_path / "cells" / f"{MNIST.key}.json").unlink()
    ages = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "cells").iterdir()}

    wrong = dataclasses.replace(DIGITS, options={**DIGITS.options, "network": "pool:2"})
    with pytest.raises(pp.RunError, match="cell digits pepita seed 0: network 'pool:2' begins with pool"):
        outcomes([wrong, *cells], tmp_path / "cells", data_dir, jobs=1)
    assert read(MNIST, tmp_path / "cells").accuracies == found[1].accuracies  # the others go on
    assert all((tmp_path / "cells" / name).stat().st_mtime_ns == age for name, age in ages.items())


def test_an_absent_data_set_is_named(tmp_path):
    found, said, _ = outcomes([MNIST], tmp_path / "cells", tmp_path)
    assert "mnist is not in" in found[0].absent
    assert said == [f"mnist is left out: {found[0].absent}"]
