"""Predicting numbers from the command line: stored data, a pipe that is cut in two, and a simulated chain."""

from __future__ import annotations

import json
import math
import subprocess

import numpy as np
import pytest
import torch
from commandline import command, error_of, piped, run

OPTIONS = ("--source", "-", "--features", 3, "--task", "regression", "--network", "fc:16", "--window", 1)


def of(number: int) -> tuple[list[float], float]:
    """An item: three numbers, and what is to be predicted of them."""
    x = [round(math.sin((place + 2) * number), 4) for place in range(3)]
    return x, round(300 + 20 * x[0] - 5 * x[1], 4)


def lines(items: range) -> str:
    """JSON, CSV, and items whose label comes in the line after."""
    written = []
    for number in items:
        x, y = of(number)
        match number % 3:
            case 0:
                written.append(json.dumps({"x": x, "y": y}))
            case 1:
                written.append(",".join(map(str, [*x, y])))
            case 2:
                written += [json.dumps({"id": f"late {number}", "x": x}), json.dumps({"id": f"late {number}", "y": y})]
    return "\n".join(written) + "\n"


@pytest.mark.slow
def test_a_pipe_in_two_parts_ends_as_in_one(tmp_path):
    bad = '{"x": [1, 2, 3], "y": "much"}\n{"x": [1, 2, 3], "y": [1, 2]}\n1,2,3,nan\n1,2,3,much\n'
    whole, said = piped(lines(range(90)) + bad, *OPTIONS, "--run-dir", "whole", cwd=tmp_path)
    assert [one["id"] for one in whole] == [f"late {n}" if n % 3 == 2 else n for n in range(90)]
    assert all(isinstance(one["prediction"], float) and "probabilities" not in one for one in whole)
    for words in (
        "the label is 'much': it must be a finite number", "3 of no use (the label is out of range, or no label)",
        "1 of no use (a cell is no number)", "MAE",
    ):  # fmt: skip
        assert words in said
    parts, _ = piped(lines(range(41)), *OPTIONS, "--run-dir", "parts", cwd=tmp_path)
    second, _ = piped(lines(range(41, 90)), "--resume", "parts", cwd=tmp_path)
    assert [{**one, "ms": 0} for one in [*parts, *second]] == [{**one, "ms": 0} for one in whole]
    one, other = (json.loads((tmp_path / name / "result.json").read_text()) for name in ("whole", "parts"))
    labels = [of(number)[1] for number in range(90)]
    assert one["weights_sha256"] == other["weights_sha256"]
    assert one["label_mean"] == other["label_mean"] == pytest.approx([np.mean(labels)])
    assert one["label_deviation"] == pytest.approx([np.std(labels, ddof=1)])
    expected = np.mean([abs(said["prediction"] - label) for said, label in zip(whole, labels, strict=True)])
    assert one["mae"] == pytest.approx(expected, abs=1e-3)
    # what is exported answers in the labels' own units
    done = json.loads(run("export", "whole", "--torch-export", "network.pt2", "--json", cwd=tmp_path).stdout)
    assert done["classes"] == 1
    outputs = torch.export.load(tmp_path / "network.pt2").module()(
        torch.tensor([of(number)[0] for number in range(90)])
    )
    assert float((outputs[:, 0] - torch.tensor(labels)).abs().mean()) < expected


@pytest.mark.slow
def test_stored_numbers_are_trained_evaluated_and_watched(tmp_path):
    items = [of(number) for number in range(400)]
    x, y = np.array([x for x, _ in items], np.float32), (np.array([y for _, y in items]) - 300) / 15
    np.savez(tmp_path / "numbers.npz", x_train=x[:300], y_train=y[:300], x_test=x[300:], y_test=y[300:])
    options = (
        "--dataset",
        "npz:numbers.npz",
        "--network",
        "fc:16",
        "--engine",
        "local",
        "--lr",
        0.02,
        "--run-dir",
        "r",
    )
    done = run("train", *options, "--epochs", 4, "--batch-size", 10, "--json", cwd=tmp_path)
    found = json.loads(done.stdout)
    assert found["test_r2"] > 0.8 and found["test_mae"] < found["test_rmse"] < 0.5 and "test_accuracy" not in found
    assert "train R2 0." in done.stderr and "mean 0 and" not in done.stderr
    again = json.loads(run("evaluate", "r", "--json", cwd=tmp_path).stdout)
    for name in ("test_mae", "test_rmse", "test_r2"):
        assert again[name] == again[f"reported_{name}"] == found[name]
    assert "R2 0." in run("status", "r", cwd=tmp_path).stdout
    further = json.loads(run("train", "--resume", "r", "--epochs", 6, "--json", cwd=tmp_path).stdout)
    straight = run("train", *options[:-1], "s", "--epochs", 6, "--batch-size", 10, "--json", cwd=tmp_path)
    assert further["weights_sha256"] == json.loads(straight.stdout)["weights_sha256"]


@pytest.mark.slow
def test_labels_far_from_one_are_warned_of_and_drtp_is_refused(tmp_path):
    items = [of(number) for number in range(40)]
    x, y = np.array([x for x, _ in items], np.float32), np.array([y for _, y in items])
    np.savez(tmp_path / "far.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    options = ("--dataset", "npz:far.npz", "--network", "fc:4", "--engine", "local", "--epochs", 1, "--lr", 1e-6)
    done = run("train", *options, cwd=tmp_path)
    assert done.returncode == 0 and "the labels have a mean of up to 300 and a standard deviation of" in done.stderr
    assert "rule drtp cannot teach" in error_of(run("train", *options, "--rule", "drtp", cwd=tmp_path), 2)


@pytest.mark.slow
def test_a_chain_is_simulated(tmp_path):
    options = (
        "--devices",
        "rpi4*2",
        "--network",
        "fc:16",
        "--stream",
        "river:Friedman",
        "--samples",
        300,
        "--drift",
        "noise:1@150",
    )
    more = ("--detector", "page-hinkley", "--page", "page.html", "--plot", "picture.png")
    found = json.loads(run("simulate", *options, *more, "--json", cwd=tmp_path).stdout)
    locked, one_device = found["setups"]["locked"], found["setups"]["one device"]
    assert locked["prequential_mae"] > 0 and locked["prequential_rmse"] > locked["prequential_mae"]
    assert locked["prequential_r2"] == one_device["prequential_r2"] and "prequential_accuracy" not in locked
    assert "mean absolute error of the last 500" in (tmp_path / "page.html").read_text()
    assert (tmp_path / "picture.png").stat().st_size > 10_000
    assert "MAE of last 500" in run("simulate", *options, cwd=tmp_path).stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--source", "-", "--features", 3, "--task", "regression", "--classes", 4), "classes 4: with --task"),
        (("--source", "-", "--features", 3, "--classes", 4, "--outputs", 2), "outputs 2 needs --task regression"),
        (("--stream", "digits", "--task", "regression"), "task needs --source"),
        (("--source", "-", "--features", 3, "--task", "numbers"), "task"),
        (("--stream", "river:Friedman", "--detector", "ddm", "--samples", 50), "detector ddm counts right and wrong"),
        (("--stream", "river:Friedman", "--rule", "drtp", "--samples", 50), "rule drtp cannot teach"),
        (("--stream", "river:SolarFlare",), "a stream needs one class or one number per item"),
    ],
)  # fmt: skip
def test_mistakes_are_one_line(arguments, words, tmp_path):
    assert words in error_of(run("online", *arguments, "--run-dir", "r", cwd=tmp_path), 2)


@pytest.mark.slow
def test_defaults_learn_numbers_and_a_network_that_is_too_wide_is_told_to_take_a_lower_rate(tmp_path):
    random = np.random.default_rng(0)
    items = random.normal(0, 1, (1500, 6)).round(3)
    labels = 20 + 3 * items[:, 0] - 2 * items[:, 1] + items[:, 2] * items[:, 3] + random.normal(0, 0.3, 1500)
    text = "\n".join(json.dumps({"x": list(x), "y": y}) for x, y in zip(items, labels, strict=True)) + "\n"
    options = ("--source", "-", "--features", 6, "--task", "regression")
    piped(text, *options, "--run-dir", "run", cwd=tmp_path)
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["network"] == "fc:64"
    assert result["r2"] > 0.6
    wide = [*command("online", *options, "--network", "fc:1024", "--lr", 0.01)]
    failed = subprocess.run(wide, cwd=tmp_path, input=text, capture_output=True, text=True, timeout=120)
    assert failed.returncode == 1
    assert "try a lower lr than 0.01 or a smaller window" in failed.stderr
