#!/usr/bin/env python3
"""Prints the digest that every rule, network, schedule and engine ends with on the digits: one line per run.

    .venv/bin/python scripts/digests.py > before.txt     # in one checkout
    .venv/bin/python scripts/digests.py > after.txt      # in another one, on the same machine
    diff before.txt after.txt                            # nothing that a run computes has changed

Every option that decides the bits is spelled out here, so that new defaults change nothing. The last line is the digest
of all lines. To run only a part of them: scripts/digests.py --only streaming
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import sys
from dataclasses import fields
from typing import Any

import pipepita as pp

_PEPITA = {
    "form": "difference", "modulate": "input", "presynaptic": "modulated", "perturbation": "error", "f_scale": 0.05,
    "mirror": 0,
}  # fmt: skip
# name: (spec, whether it is normalized, number of layers)
NETWORKS = {"deep": ("fc:48x3", True, 4), "wide": ("fc:256", False, 2), "conv": ("conv:6,3/pool:2/fc:24", True, 3)}
SCHEDULES = (("locked", None), ("relaxed", None), ("streaming", 2), ("streaming", 5))
SPLITS = (("local", 1), ("local", 3), ("ray", 2))  # engine, stages
OPTIONS: dict[str, Any] = {
    "optimizer": "sgd:momentum=0.9", "lr": 0.05, "lr_decay": "0.5@1", "batch_size": 32, "epochs": 2, "seed": 5,
    "device": "cpu", "threads": 1, "snapshot_every": 4,
}  # fmt: skip
if hasattr(getattr(pp, "Defaults", None), "look_ahead"):  # an older checkout has neither, and does not look ahead
    OPTIONS["look_ahead"] = "off"


def signs(kind: type, form: str = "stash", *, strict: bool) -> Any:
    """A rule that uses the signs of the weights. strict: of all its options other than `form`, whatever their names."""
    names = {field.name for field in fields(kind)} - {"form"}
    return kind(form=form, **dict.fromkeys(names, strict))


def rules() -> dict[str, Any]:
    """Every rule, with each value of each of its options."""
    pepita = {
        " ".join(map(str, changes.values())) or "paper": pp.Pepita(**_PEPITA | changes)
        for changes in (
            {}, {"modulate": "all"},
            *({"form": form} for form in ("textbook", "stash", "recompute")),
            *({"form": form, "modulate": "all"} for form in ("textbook", "stash", "recompute")),
            {"presynaptic": "standard"}, {"presynaptic": "own"}, {"presynaptic": "two-step", "form": "textbook"},
            {"perturbation": "sign"}, {"perturbation": "random"}, {"modulate": "all", "mirror": 20}, {"f_scale": 0.0},
        )
    }  # fmt: skip
    return {
        **{f"pepita {name}": rule for name, rule in pepita.items()},
        "bp stash": pp.Backprop(form="stash"),
        "bp textbook": pp.Backprop(form="textbook"),
        "fa": pp.FeedbackAlignment(),
        "dfa": pp.DirectFeedbackAlignment(),
        "drtp": pp.TargetProjection(),
        **{
            f"{kind.name} {form}{' strict' if strict else ''}": signs(kind, form, strict=strict)
            for kind in (pp.UniformSigns, pp.RandomSigns, pp.FixedSigns)
            for form, strict in (("stash", False), ("stash", True), ("textbook", False))
        },
    }


def main() -> None:
    """Runs all of them, or those that --only names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="run only those whose line holds this text")
    only = parser.parse_args().only
    data = pp.load("digits")
    data = pp.Data(data.x_train[:150], data.y_train[:150], data.x_test[:40], data.y_test[:40], 10, "few digits")
    engines = {"local": pp.LocalEngine("cpu"), "ray": pp.RayEngine(3, device="cpu")}
    cells = list(
        itertools.product(rules().items(), NETWORKS.items(), SCHEDULES, (("local", 1), ("local", 3), ("ray", 2)))
    )
    digest, done = hashlib.sha256(), 0
    try:
        for (name, rule), (network, (spec, norm, layers)), (schedule, window), (engine, stages) in cells:
            stages = min(stages, layers)
            line = f"{name}, {network}, {schedule} {window or 1}, {engine} in {stages}"
            if only not in line or (network == "conv" and getattr(rule, "mirror", 0)):  # only linear layers mirror
                continue
            model = pp.build(spec, data.item_shape, data.classes, activation="relu", dropout=0.1, normal=norm)
            result = pp.train(
                model, data, rule=rule, engine=engines[engine], normalize=False, init="he", schedule=schedule,
                window=window, stages=stages, **OPTIONS,
            )  # fmt: skip
            line = f"{result.weights_sha256}  {line}"
            digest.update(line.encode())
            print(line, flush=True)
            done += 1
            if done % 50 == 0:
                print(f"{done} of at most {len(cells)} runs", file=sys.stderr)
    finally:
        for one in engines.values():
            one.close()
    print(f"{digest.hexdigest()}  all {done} runs")


if __name__ == "__main__":
    main()
