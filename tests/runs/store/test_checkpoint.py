"""Checkpoints on disk: they are whole or absent, damage is recognised, and the last ones are kept."""

from __future__ import annotations

import subprocess

import pytest
import torch

import pipepita as pp
from pipepita.pipeline.state import State
from pipepita.runs.store import checkpoint
from pipepita.runs.store.checkpoint import RESUMABLE

STATE = State({"1.weight": torch.arange(6.0).view(2, 3)}, {"1.weight.velocity": torch.ones(2, 3)}, {})


def write(folder, step, keep=3, **about):
    return checkpoint.write(folder, STATE, {"step": step, RESUMABLE: True, **about}, keep)


def test_what_is_written_is_read(tmp_path):
    path = write(tmp_path, 7, epoch=2)
    newest, damaged = checkpoint.newest(tmp_path)
    assert (newest.path, damaged, newest.about["epoch"]) == (path, [], 2)
    for mine, theirs in zip(STATE, newest.state(), strict=True):
        assert mine.keys() == theirs.keys()
        assert all(torch.equal(mine[key], theirs[key]) for key in mine)
    done = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=path, capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stdout.count(": OK") == 4


def test_the_last_ones_are_kept(tmp_path):
    for step in (1, 2, 3, 4):
        write(tmp_path, step, keep=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000003", "step-00000004"]


def test_the_last_one_that_can_be_resumed_from_is_kept_whatever_follows(tmp_path):
    write(tmp_path, 1, keep=1)
    write(tmp_path, 2, keep=1)
    write(tmp_path, 3, keep=1, **{RESUMABLE: False})
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["step-00000002", "step-00000003"]
    assert checkpoint.newest(tmp_path)[0].about["step"] == 3
    assert checkpoint.newest(tmp_path, resumable=True)[0].about["step"] == 2


DAMAGES = {
    "a flipped bit": lambda path: (path / "weights.safetensors").write_bytes(
        bytes([*(path / "weights.safetensors").read_bytes()[:-1], 1])
    ),
    "cut short": lambda path: (path / "optimizer.safetensors").write_bytes(b"\x08\x00"),
    "a file gone": lambda path: (path / "memory.safetensors").unlink(),
    "another story": lambda path: (path / "checkpoint.json").write_text('{"step": 9}'),
    "no sums": lambda path: (path / "SHA256SUMS").unlink(),
    "sums of nothing": lambda path: (path / "SHA256SUMS").write_bytes(b"\xff\x00 "),
    "a folder for a file": lambda path: [(path / "SHA256SUMS").unlink(), (path / "SHA256SUMS").mkdir()],
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_one_is_named_and_the_one_before_is_used(tmp_path, damage):
    write(tmp_path, 1)
    last = write(tmp_path, 2)
    DAMAGES[damage](last)
    newest, damaged = checkpoint.newest(tmp_path)
    assert newest.about["step"] == 1
    (line,) = damaged
    assert str(last) in line
    assert "damaged" in line


def test_none_and_only_damaged_ones_are_told_apart(tmp_path):
    assert checkpoint.newest(tmp_path) == (None, [])
    DAMAGES["cut short"](write(tmp_path, 1))
    with pytest.raises(pp.UserError, match=r"1 checkpoints in .* are damaged, and no other will do.*optimizer\.saf"):
        checkpoint.newest(tmp_path)


def test_what_a_killed_process_left_half_done_is_neither_seen_nor_in_the_way(tmp_path):
    half = tmp_path / ".step-00000002.partial"
    half.mkdir()
    (half / "weights.safetensors").write_bytes(b"half")
    write(tmp_path, 1)
    assert checkpoint.newest(tmp_path)[0].about["step"] == 1
    write(tmp_path, 2)
    assert not half.exists()


def test_a_full_disk_leaves_what_was_there(tmp_path, monkeypatch):
    write(tmp_path, 1)

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(pp.RunError, match="cannot write checkpoint .*step-00000002: No space left on device"):
        write(tmp_path, 2)
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000001"]
