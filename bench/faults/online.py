"""`pipepita online` commands that are killed while items arrive, and what became of each item."""

from __future__ import annotations

import contextlib
import json
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pipepita as pp
from bench.common import note
from bench.faults.leftovers import Leftovers
from pipepita.live.past import Past

_ITEMS = 1500
_PER_SECOND = 300.0
_LATE = 5  # the label of an item comes after so many later items; every other item has its label at once
_OPTIONS = [
    "--source", "-", "--features", "64", "--classes", "10", "--network", "fc:32x2", "--snapshot-every", "50",
    "--checkpoint-every", "1",
]  # fmt: skip
CASES = [
    ["--engine", "local"],
    ["--engine", "local", "--window", "1"],
    ["--engine", "ray", "--stages", "2"],
]


def online_dies(runs: int, folder: Path, left: Leftovers) -> dict[str, Any]:
    """Makes `runs` runs on a live stream, whose process gets SIGKILL at one or two random moments and is resumed.

    Each is compared with an undisturbed run that repeats its order. In both, some labels come later than their items.
    """
    sent, once, kills, equal, lost, twice = _lines(), 0, 0, 0, 0, 0
    for number in range(runs):
        case, draw, run_dir = CASES[number % len(CASES)], random.Random(2000 + number), folder / f"online{number}"
        moments = [draw.uniform(0, _ITEMS / _PER_SECOND) for _ in range(draw.choice([1, 1, 2]))]
        printed = list[int]()
        words, begin = [*_OPTIONS, *case, "--run-dir", str(run_dir)], 0
        while True:
            moment = moments.pop(0) if moments else None
            if not _run(words, sent[begin:], printed, moment):
                break
            kills += 1
            if (run_dir / "run.json").exists():
                words, begin = ["--resume", str(run_dir)], Past.of(run_dir, None).number
        order = ["--order", str(run_dir / "order.txt"), "--engine", "local", "--run-dir", f"{run_dir}-again"]
        _run([*_OPTIONS, *(case if "--window" in case else []), *order], sent, [], None)
        kept = [json.loads(line)["id"] for line in (run_dir / "predictions.jsonl").read_text().splitlines()]
        lost += _ITEMS - len(set(kept))
        twice += len(kept) - len(set(kept)) + len(printed) - len(set(printed))
        results = [json.loads((path / "result.json").read_text()) for path in (run_dir, Path(f"{run_dir}-again"))]
        same = results[0]["weights_sha256"] == results[1]["weights_sha256"]
        equal, once = equal + same, once + (results[0]["steps"] == results[1]["steps"] == _ITEMS)
        note(f"online {number + 1}/{runs}: {case}, {kills} kills so far, {'equal' if same else 'DIFFERENT'}")
    return {
        "killed": "coordinator of `online`",
        "runs": runs,
        "kills": kills,
        "items per run": _ITEMS,
        "items without a prediction": lost,
        "predictions made twice": twice,
        "runs that learnt from each item once": once,
        "equal digests": equal,
        "left behind": left.remaining() or "nothing",
    }


def _lines() -> list[str]:
    """The items, and labels on their own that come later."""
    data, lines = pp.load("digits"), list[str]()
    x, y = data.x_train.flatten(1).tolist(), data.y_train.tolist()
    waiting = list[str]()
    for number in range(_ITEMS):
        item, label = {"id": number, "x": x[number % len(x)]}, {"y": y[number % len(y)]}
        late = number % 2 == 1
        lines.append(json.dumps(item if late else item | label))
        if late:
            waiting.append(json.dumps({"id": number} | label))
        if len(waiting) > _LATE:
            lines.append(waiting.pop(0))
    return lines + waiting


def _run(words: list[str], sent: list[str], printed: list[int], moment: float | None) -> bool:
    """Runs a command that reads `sent`. Returns whether it was killed, so many seconds after its first prediction."""
    command = [sys.executable, "-m", "pipepita", "online", *words]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    errors = list[str]()
    feeder = threading.Thread(target=_feed, args=(child, sent))
    reader = threading.Thread(target=lambda: errors.extend(child.stderr or []))
    timer = threading.Timer(moment or 0.0, child.send_signal, [signal.SIGKILL])
    feeder.start()
    reader.start()
    assert child.stdout is not None
    for line in child.stdout:
        if moment is not None and not timer.is_alive() and timer.ident is None:
            timer.start()
        if line.endswith("}\n"):
            printed.append(json.loads(line)["id"])
    code = child.wait()
    timer.cancel()
    feeder.join()
    reader.join()
    if code not in (0, -signal.SIGKILL):
        raise RuntimeError(f"exit code {code}: {errors[-1:]}")
    return code != 0


def _feed(child: subprocess.Popen[str], sent: list[str]) -> None:
    """Writes lines at an even rate until the end, or until nobody reads any more."""
    assert child.stdin is not None
    began = time.monotonic()
    with contextlib.suppress(BrokenPipeError):
        for number, line in enumerate(sent):
            time.sleep(max(0.0, began + number / _PER_SECOND - time.monotonic()))
            child.stdin.write(line + "\n")
            child.stdin.flush()
        child.stdin.close()
