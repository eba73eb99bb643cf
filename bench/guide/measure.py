"""`python -m bench.guide`: the commands whose results the pages of pipepita's folders show, and their tables.

In this order: latency of two networks, emulated devices, rules, schedules on MNIST, settings and what they reach, a
chain of devices. PIPEPITA_DATA names the folder with MNIST.
"""

from __future__ import annotations

import json
import shlex
import statistics
import subprocess
import sys
import tempfile
from typing import Any

from bench.common import note
from pipepita.errors import RunError

Row = dict[str, Any]

_PLAIN = "--no-normalize --rule pepita:modulate=input"
LATENCIES = {
    "fc:512x8, batch 64, 2 stages": f"--network fc:512x8 {_PLAIN} --stages 2",
    "fc:64x8, batch 1, one stage per layer": f"--network fc:64x8 {_PLAIN} --batch-size 1",
}
EMULATED = f"--layers 2,4,8,16 --width 64 {_PLAIN} --batch-size 1 --emulate-ms 10 --rounds 3"
RULES = "--rules all --network fc:64x3 --no-normalize --batch-size 1 --emulate-ms 10 --rounds 2 --seconds 0.5"
_FLOWS = {"up": "up", "down": "down", "all": "all at once", "none": "none"}
_FLAT = "--dataset mnist --network fc:1024 --epochs 2"
_DEEP = "--dataset mnist --network fc:256x8 --normalize --rule pepita:modulate=all,f_scale=0.05 --lr 0.1 --epochs 2"
SCHEDULES = {
    "fc:1024": (_FLAT, [("locked", 1), ("relaxed", 1), ("streaming", 2), ("streaming", 4), ("streaming", 16)]),
    "fc:256x8": (_DEEP, [("locked", 1), ("relaxed", 1), ("streaming", 5), ("streaming", 9)]),
}
SETTINGS = (
    "",
    "--dataset mnist --epochs 2",
    "--dataset mnist --network fc:256x8 --epochs 2",
    "--dataset mnist --network fc:256x8 --epochs 2 --schedule streaming",
    _DEEP,
    "--dataset mnist --network conv:32,5/pool:2 --lr 0.03 --dropout 0 --batch-size 100 --epochs 3",
)
CHAIN = (
    "--devices rpi4*4 --link wifi --stream mnist --drift remap@3000 --network fc:1024x3 --normalize "
    "--rule pepita:modulate=all,f_scale=0.05 --lr 0.003 --rate 120 --policy drop-newest --samples 6000 "
    "--detector adwin --look-ahead off"
)


def _said(command: str, options: str) -> dict[str, Any]:
    """The JSON object that a command prints."""
    note(f"pipepita {command} {options}")
    words = [sys.executable, "-m", "pipepita", command, *shlex.split(options), "--json"]
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(words, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise RunError(f"pipepita {command} {options}: {done.stderr.strip().splitlines()[-1]}")
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def _ms(period: float) -> str:
    return f"{period:.3g}"


def latencies(quick: bool) -> list[Row]:
    """Two networks: each schedule next to its ceiling, and the same network in one process."""
    rows = []
    for name, options in LATENCIES.items():
        said = _said("latency", options + " --rounds 1 --seconds 0.1" * quick)
        for schedule, found in said["schedules"].items():
            window = f", window {found['window']}" if schedule == "streaming" else ""
            rows.append(
                {
                    "network": name, "how": schedule + window, "ms per sample": _ms(found["period_ms"]),
                    "speed-up over locked": f"{found['speedup']:.2f}",
                    "ceiling, hops as measured": f"{found['ceiling_with_hops']:.2f}",
                    "efficiency": f"{100 * found['efficiency']:.0f} %",
                }
            )  # fmt: skip
        for how, key in (("one process, one thread", "one_thread_ms"), ("one process, all threads", "all_threads_ms")):
            rows.append(
                {
                    **dict.fromkeys(rows[0], ""),
                    "network": name,
                    "how": how,
                    "ms per sample": _ms(said["in_process"][key]),
                }
            )
    return rows


def emulated(quick: bool) -> list[Row]:
    """One row per depth: devices that take 10 ms per pass."""
    options = EMULATED if not quick else EMULATED.replace("2,4,8,16", "2,4").replace("--rounds 3", "--rounds 1")
    rows = []
    for network in _said("latency", options)["networks"]:
        found = network["schedules"]
        row = {"layers": network["layers"], "locked, ms per sample": f"{found['locked']['period_ms']:.1f}"}
        for name in ("relaxed", "streaming"):
            row |= {name: f"{found[name]['period_ms']:.1f}"}
            row |= {"window": found[name]["window"]} if name == "streaming" else {}
            row |= {
                f"{name} / locked": f"{found[name]['speedup']:.2f}",
                f"{name}'s ceiling": f"{found[name]['ceiling']:.2f}",
            }
        rows.append(row)
    return rows


def rules(quick: bool) -> list[Row]:
    """One row per rule: how long its second pass locks a layer."""
    rows = []
    for one in _said("latency", RULES + " --rounds 1 --seconds 0.1" * quick)["rules"]:
        found, options = one["schedules"], one["rule_options"]
        name = one["rule"] + (f", modulate {options['modulate']}" if "modulate" in options else "")
        locks = [statistics.mean(found[schedule]["lock_ms"]) for schedule in ("locked", "relaxed", "streaming")]
        rows.append(
            {
                "rule": name, "second pass": _FLOWS[one["flow"]],
                "locked, ms per sample": f"{found['locked']['period_ms']:.1f}",
                "relaxed / locked": f"{found['relaxed']['speedup']:.2f}",
                "streaming / locked": f"{found['streaming']['speedup']:.2f}",
                "its ceiling": f"{found['streaming']['ceiling']:.2f}",
                "lock, ms: locked, relaxed, streaming": ", ".join(f"{lock:.2g}" for lock in locks),
            }
        )  # fmt: skip
    return rows


def schedules(quick: bool) -> list[Row]:
    """Schedules and windows on MNIST, in one process and in two actors: the weights must be the same."""
    rows = []
    for network, (options, ways) in SCHEDULES.items():
        for schedule, window in ways[: 1 if quick else None]:
            how = f"{options} --schedule {schedule}" + (f" --window {window}" if schedule == "streaming" else "")
            local = _said("train", f"{how} --engine local")
            actors = _said("train", f"{how} --engine ray --stages 2")
            if local["weights_sha256"] != actors["weights_sha256"]:
                raise RunError(f"{how}: the engines differ: {local['weights_sha256']}, {actors['weights_sha256']}")
            rows.append(
                {
                    "network": network, "schedule": schedule, "window": window,
                    "test %": f"{local['test_accuracy']:.2f}",
                    "items/s local": f"{local['items_per_second']:,.0f}",
                    "items/s ray, 2": f"{actors['items_per_second']:,.0f}",
                    "`weights_sha256`": local["weights_sha256"][:12] + "...",
                }
            )  # fmt: skip
    return rows


def settings(quick: bool) -> list[Row]:
    """What `pipepita train` reaches with a few settings."""
    rows = []
    for options in SETTINGS[: 1 if quick else None]:
        accuracy = _said("train", options)["test_accuracy"]
        words = f"`{options}`" if options else "nothing: digits"
        rows.append({"`pipepita train` with": words, "test accuracy, %": f"{accuracy:.2f}"})
    return rows


def chain(quick: bool) -> list[Row]:
    """A simulated chain, one column per way to learn."""
    found = _said("simulate", CHAIN.replace("6000", "3200") if quick else CHAIN)["setups"]
    ways = {name: found[name] for name in ("locked", "relaxed", "streaming", "one device")}

    def row(what: str, figure: Any, form: str = ".3g") -> Row:
        return {"what": what, **{name: format(figure(one), form) for name, one in ways.items()}}

    def detected(one: Any) -> float:
        return next((at for at in one["drifts_detected"] if at >= 3000), float("nan"))

    return [
        row("learns from at most, samples per second", lambda one: one["capacity"]),
        row("dropped of 120 per second, %", lambda one: 100 * one["dropped_share"]),
        row("prediction, p95, ms after arrival", lambda one: one["prediction_ms"]["p95"]),
        row("update, p95, ms", lambda one: one["update_ms"]["p95"]),
        row("mJ per sample (idle power included)", lambda one: 1000 * one["joules_per_sample"]),
        row("memory of the fullest device, MB", lambda one: max(d["memory_bytes"] for d in one["devices"]) / 1e6),
        row("test-then-train accuracy of what was served, %", lambda one: one["prequential_accuracy"]),
        row("the drift at 3,000 is detected (ADWIN) at", detected, ",.0f"),
    ]  # fmt: skip


def measure(quick: bool) -> list[Row]:
    """The rows of all tables."""
    tables = (latencies, emulated, rules, schedules, settings, chain)
    return [row for table in tables for row in table(quick)]
