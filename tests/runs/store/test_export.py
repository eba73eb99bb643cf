"""What is exported gives the checkpoint's own outputs, without pipepita."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from commandline import error_of, run

import pipepita as pp
from pipepita.errors import RunError, UserError
from pipepita.runs.store import export as module

NETWORKS = {
    "fc:16x2": {"rule": pp.Pepita()},
    "conv:6,3,1,1/norm:batch/pool:2/fc:12": {"rule": pp.LocalLoss(), "standardize": True, "batch_size": 30},
}
LOAD = """
import json, sys, torch
assert "pipepita" not in sys.modules
items = torch.tensor(json.loads(sys.stdin.read())).view(-1, 1, 8, 8)
print(json.dumps(torch.export.load("network.pt2").module()(items).tolist()))
"""


def trained(data: pp.Data, network: str, folder):
    """A trained network, whose run is in `folder`."""
    model = pp.build(network, data.item_shape, 10)
    pp.train(model, data, engine="local", epochs=1, run_dir=folder, **NETWORKS[network])
    return model.eval()


@pytest.mark.slow
@pytest.mark.parametrize("network", NETWORKS)
def test_both_kinds_give_the_same_outputs(few_digits, tmp_path, network):
    import onnxruntime

    model = trained(few_digits, network, tmp_path / "run")
    about = pp.export(tmp_path / "run", onnx=tmp_path / "a.onnx", torch_export=tmp_path / "a.pt2")
    assert about["step"] > 0 and about["item_shape"] == [1, 8, 8] and about["classes"] == 10
    session = onnxruntime.InferenceSession(tmp_path / "a.onnx", providers=["CPUExecutionProvider"])
    for items in (few_digits.x_test, few_digits.x_test[:1]):
        expected = model(items).detach()
        assert torch.equal(torch.export.load(tmp_path / "a.pt2").module()(items), expected)
        (scores,) = session.run(["scores"], {"items": items.numpy()})
        assert torch.allclose(torch.from_numpy(scores), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_it_runs_where_pipepita_is_not(few_digits, tmp_path):
    model = trained(few_digits, "fc:16x2", tmp_path / "run")
    pp.export(tmp_path / "run", torch_export=tmp_path / "network.pt2")
    items = few_digits.x_test[:3]
    done = subprocess.run(
        [sys.executable, "-c", LOAD], cwd=tmp_path, input=str(items.flatten().tolist()), capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    assert torch.allclose(torch.tensor(eval(done.stdout)), model(items), atol=1e-6)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:gevb")
def test_a_network_that_torch_cannot_trace_is_an_error_of_one_line(few_digits, tmp_path):
    """Its gates look at how many items there are."""
    model = pp.build("fc:6", few_digits.item_shape, 10)
    pp.train(model, few_digits, engine="local", epochs=1, run_dir=tmp_path / "run", rule=pp.ErrorVectors())
    done = run("export", "run", "--torch-export", "a.pt2", cwd=tmp_path)
    assert "the network cannot be exported: Constraints violated" in error_of(done, 1)
    assert not (tmp_path / "a.pt2").exists()


@pytest.mark.slow
def test_a_file_with_other_outputs_is_not_written(few_digits, tmp_path, monkeypatch):
    trained(few_digits, "fc:16x2", tmp_path / "run")
    honest = module._WRITERS["torch-export"]

    def wrong(program):
        content, call = honest(program)
        return content, lambda items: call(items) * 1.01

    monkeypatch.setitem(module._WRITERS, "torch-export", wrong)
    monkeypatch.setitem(module._WRITERS, "onnx", honest)
    with pytest.raises(RunError, match="torch-export: what was exported gives other outputs than the checkpoint"):
        pp.export(tmp_path / "run", torch_export=tmp_path / "a.pt2", onnx=tmp_path / "a.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]

    def broken(program):
        raise ValueError("no such operator\nand much more")

    monkeypatch.setitem(module._WRITERS, "onnx", broken)
    with pytest.raises(RunError, match="^the network cannot be exported: no such operator$"):
        pp.export(tmp_path / "run", onnx=tmp_path / "a.onnx")


def test_mistakes_are_one_line(few_digits, tmp_path):
    trained(few_digits, "fc:16x2", tmp_path / "run")
    for words, complaint in (
        (("run",), "nothing to write: give a file for --onnx or --torch-export"),
        (("run", "--onnx", "no/a.onnx"), "onnx no/a.onnx: its folder does not exist"),
        (("nothing", "--onnx", "a.onnx"), "nothing is not a run folder"),
    ):
        assert complaint in error_of(run("export", *words, cwd=tmp_path))
    for checkpoint in (tmp_path / "run" / "checkpoints").iterdir():
        checkpoint.rename(checkpoint.with_name(f"x{checkpoint.name}"))
    with pytest.raises(UserError, match="holds no checkpoint yet"):
        pp.export(tmp_path / "run", onnx=tmp_path / "a.onnx")
