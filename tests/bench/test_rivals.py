"""The rivals are worth comparing with: pipelined backpropagation trains, and as plain backpropagation does."""

from __future__ import annotations

import multiprocessing as mp
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import pipepita as pp
from bench.crew import Crew
from bench.gloo import united
from bench.rivals import backprop, measure, pepita
from bench.rivals.net import Net
from bench.rivals.turn import Turn, together
from pipepita.schedule import make

ROOT = Path(__file__).parents[2]
SMALL = Net("fc:32x3", 20, 5, 16, 0.05)


@pytest.fixture(scope="module")
def pair() -> Iterator[Crew]:
    with Crew(2) as crew, united(crew, 2):
        yield crew


@pytest.mark.slow
@pytest.mark.parametrize(
    ("schedule", "micro_batches"), [(name, count) for name, counts in measure.MICRO_BATCHES.items() for count in counts]
)
def test_pipelined_backprop_is_backprop(pair, schedule, micro_batches):
    """Its loss falls, and its weights are those of the plain loop up to rounding."""
    answers = pair.ask(backprop.stage_repeats, [(SMALL, schedule, micro_batches, 20)] * 2, 60)
    losses = answers[1][0]
    assert losses[-1] < losses[0] / 2
    model, step = backprop.plain(SMALL)
    x, y = SMALL.data(1)
    for loss in losses:
        assert step(x, y) == pytest.approx(loss, rel=1e-3)
    for mine, theirs in zip(model.parameters(), [w for _, part in answers for w in part], strict=True):
        torch.testing.assert_close(torch.from_numpy(theirs), mine.detach(), rtol=1e-3, atol=1e-5)


@pytest.mark.slow
@pytest.mark.rest
def test_1f1b_refuses_fewer_micro_batches_than_stages():
    """Which is why it is not tried with one."""
    before = set(mp.active_children())
    with pytest.raises(pp.RunError, match="ValueError: Number of micro"), Crew(2) as crew, united(crew, 2):
        crew.ask(backprop.stage_turn, [(SMALL, "1F1B", 1, 8)] * 2, 60)
    assert set(mp.active_children()) == before


def test_both_cut_the_net_at_the_same_place():
    layers = SMALL.layers()
    for index, part in enumerate(SMALL.parts(2)):
        theirs = [p.shape for p in SMALL.part(index, 2).parameters()]
        assert theirs == [layers[i].parameters[0].shape for i in part]


@pytest.mark.slow
def test_a_turn_counts_three_quarters_of_the_steps(pair):
    parts = pair.ask(backprop.stage_turn, [(SMALL, "GPipe", 2, 8)] * 2, 60)
    turn = together(parts)
    assert turn.steps == 6
    assert turn.cpu == pytest.approx(parts[0].cpu + parts[1].cpu)
    assert turn.memory > 50


def test_turns_of_pepita(ray_engine):
    """One of the local engine in this process, one of two actors with a coordinator beside them."""
    local = pepita.local_turn(SMALL, 8, 1, "all")
    assert local.steps == 6
    assert local.coordinator_cpu == 0
    streamed = pepita.engine_turn(SMALL, ray_engine, make("streaming", 2), 2, 8)
    assert streamed.steps == 6
    assert streamed.seconds > 0
    assert streamed.coordinator_cpu > 0


def test_only_the_fastest_of_a_family_is_shown_and_ratios_are_taken_within_rounds():
    contenders = [
        measure.Contender(name, lambda: Turn(1, 1, 1, 1), 2, family)
        for name, family in (("slow", "a"), ("fast", "a"), ("other", "b"), ("pepita", ""))
    ]
    turns = {
        name: [Turn(10, seconds, seconds, 100) for seconds in times]
        for name, times in {"slow": (3, 3, 3), "fast": (1, 2, 2), "other": (4, 4, 4), "pepita": (1, 1, 1)}.items()
    }
    rows = measure._rows(Net(), contenders, turns)
    assert [row["what"] for row in rows] == ["fast", "other", "pepita"]
    assert [row["/ pipelining"] for row in rows] == [1, 0.5, 2]
    assert [row["idle"] for row in rows] == [0.5, 0.5, 0.5]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short path, unlike `tmp_path`: Ray puts Unix sockets in it."""
    with tempfile.TemporaryDirectory(prefix="ctrl-c-") as name:
        yield Path(name)


@pytest.mark.slow
@pytest.mark.rest
def test_ctrl_c_leaves_nothing_behind(folder):
    """In the middle of a round: one line, exit code 130, no process and no file."""
    lines = [  # with a small net
        "from bench import common",
        "from bench.rivals import measure, net",
        f"measure.Net = lambda: net.{SMALL!r}",
        "common.main(measure.measure, measure.__doc__)",
    ]
    process = subprocess.Popen(
        [sys.executable, "-c", "\n".join(lines), "--quick"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stderr is not None
    while "round 1" not in (line := process.stderr.readline()):
        assert line, "it ended before the first round did"
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert out == ""
    assert "Traceback" not in err
    # torch makes an empty cache folder of that name when torch.distributed.pipelining is imported
    assert not [path for path in folder.iterdir() if not path.name.startswith("torchinductor_")]
    time.sleep(1)
    ours = f"TMPDIR={folder}".encode()
    left = [e.parent.name for e in Path("/proc").glob("[0-9]*/environ") if ours in _read(e)]
    assert not left


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
