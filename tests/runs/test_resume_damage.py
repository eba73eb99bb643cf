"""Run folders that cannot be resumed are refused. If only the last checkpoint is damaged, the user is warned."""

from __future__ import annotations

import json

import pytest

import pipepita as pp
from pipepita.runs.display import Observer


def model(data: pp.Data, network: str = "fc:24x2"):
    return pp.build(network, data.item_shape, 10, dropout=0.1)


class Quiet(Observer):
    """Keeps the warnings."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, text: str) -> None:
        self.warnings.append(text)


def test_a_damaged_checkpoint_is_warned_of_and_the_one_before_is_used(few_digits, tmp_path):
    whole = pp.train(model(few_digits), few_digits, engine="local", epochs=3, run_dir=tmp_path / "run")
    last = sorted((tmp_path / "run" / "checkpoints").iterdir())[-1]
    (last / "weights.safetensors").write_bytes(b"not weights")
    observer = Quiet()
    assert pp.resume(tmp_path / "run", few_digits, observer=observer).weights_sha256 == whole.weights_sha256
    (line,) = observer.warnings
    assert str(last) in line
    assert "damaged" in line


def test_nothing_on_disk_can_run_code(few_digits, tmp_path):
    """A pickle in place of the weights, with checksums that fit it, is refused: it is no safetensors file."""
    import hashlib
    import pickle

    class Bomb:
        def __reduce__(self):
            return print, ("BOOM",)

    pp.train(model(few_digits), few_digits, engine="local", epochs=1, run_dir=tmp_path / "run")
    bomb = pickle.dumps(Bomb())
    own = f"{hashlib.sha256(bomb).hexdigest()}  weights.safetensors"
    for checkpoint in (tmp_path / "run" / "checkpoints").iterdir():
        (checkpoint / "weights.safetensors").write_bytes(bomb)
        sums = (checkpoint / "SHA256SUMS").read_text().splitlines()
        (checkpoint / "SHA256SUMS").write_text("\n".join(own if "weights" in line else line for line in sums))
    with pytest.raises(pp.UserError, match="cannot be read"):
        pp.resume(tmp_path / "run", few_digits)


def test_refuses_what_would_be_another_run(few_digits, digits, tmp_path):
    pp.train(model(few_digits), few_digits, engine="local", epochs=1, run_dir=tmp_path / "run")
    with pytest.raises(pp.UserError, match="lr 0.5: a resumed run keeps its own; only epochs, .* may change"):
        pp.resume(tmp_path / "run", few_digits, lr=0.5)
    with pytest.raises(pp.UserError, match="data 'digits' is not what .* was trained on"):
        pp.resume(tmp_path / "run", digits)
    with pytest.raises(pp.UserError, match="is not a run folder: it has no run.json"):
        pp.resume(tmp_path, few_digits)
    with pytest.raises(pp.UserError, match="data 'few digits', to which no name leads: pass them from Python"):
        pp.resume(tmp_path / "run")
    with pytest.raises(pp.UserError, match="data is list"):
        pp.resume(tmp_path / "run", [1])


def test_a_run_that_still_goes_on_is_left_alone(few_digits, tmp_path):
    refused = []

    class Impatient(Observer):
        def epoch_ends(self, line):
            with pytest.raises(pp.UserError, match="is still going on"):
                pp.resume(tmp_path / "run", few_digits)
            refused.append(line)

    pp.train(model(few_digits), few_digits, engine="local", epochs=1, run_dir=tmp_path / "run", observer=Impatient())
    assert len(refused) == 1
    pp.resume(tmp_path / "run", few_digits)


@pytest.mark.parametrize(
    "change", [{"model": "x"}, {"rule": "x"}, {"options": []}, {"init": None}, {"data_sha256": None}]
)
def test_a_damaged_run_folder_is_named(few_digits, tmp_path, change):
    pp.train(model(few_digits), few_digits, engine="local", epochs=1, run_dir=tmp_path / "run")
    path = tmp_path / "run" / "run.json"
    about = json.loads(path.read_text()) | change
    path.write_text(json.dumps({key: value for key, value in about.items() if value is not None}))
    with pytest.raises(pp.UserError, match="does not fit together|unknown|not a rule"):
        pp.resume(tmp_path / "run", few_digits)


def test_a_run_that_fails_when_resumed_still_has_its_last_checkpoint(few_digits, tmp_path):
    pp.train(model(few_digits), few_digits, engine="local", epochs=2, run_dir=tmp_path / "run")
    (last,) = sorted((tmp_path / "run" / "checkpoints").iterdir())[-1:]

    class Broken(pp.LocalEngine):
        def open(self, plan):
            raise pp.RunError("no luck")

    with pytest.raises(pp.RunError, match=rf"no luck \(epoch 3; the last good checkpoint is {last}\)"):
        pp.resume(tmp_path / "run", few_digits, engine=Broken("cpu"), epochs=3)
    assert json.loads((tmp_path / "run" / "status.json").read_text())["state"] == "failed"
