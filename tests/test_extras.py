"""What is left out by a small installation is named in one line when it is needed, before anything long begins."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

import pytest
from commandline import run

import pipepita as pp
from pipepita import extras

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]


def test_each_package_is_in_its_extra():
    for name, extra in extras._PACKAGES.values():
        assert any(line.startswith(name) for line in PROJECT["optional-dependencies"][extra]), (name, extra)
        assert not any(line.startswith(name) for line in PROJECT["dependencies"])


@pytest.mark.parametrize(
    ("package", "words", "line"),
    [
        ("matplotlib", ("latency", "--plot", "x.png"), "--plot needs matplotlib: pip install 'pipepita[plots]'"),
        ("matplotlib", ("train", "--timeline", "x.png"), "timeline needs matplotlib: pip install 'pipepita[plots]'"),
        ("matplotlib", ("simulate", "--page", "x.html"), "--page needs matplotlib: pip install 'pipepita[plots]'"),
        ("matplotlib", ("plan", "--devices", 4, "--out", "x"), "--out needs matplotlib: pip install 'pipepita[plots]'"),
        ("matplotlib", ("tune", "--trials", 1, "--out", "x"), "tune needs matplotlib: pip install 'pipepita[plots]'"),
        ("sklearn", ("reproduce", "table1"), "reproduce needs scikit-learn: pip install 'pipepita[plots]'"),
        ("sklearn", ("train",), "the data set digits needs scikit-learn: pip install 'pipepita[plots]'"),
        (
            "river",
            ("simulate", "--stream", "river:SEA"),
            "what comes from river (streams and detectors of drift) needs river: pip install 'pipepita[edge]'",
        ),
        ("scipy", ("profile", "--name", "x", "--into", "x.toml"), "profile needs scipy: pip install 'pipepita[edge]'"),
    ],
)
def test_what_is_missing_is_named(monkeypatch, tmp_path, package, words, line):
    monkeypatch.setitem(sys.modules, package, None)
    done = run(*words, cwd=tmp_path)
    assert done.returncode == 2
    assert line in done.stderr
    assert done.stdout == ""


def test_an_onnx_export_without_onnxruntime(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(pp.UserError, match=r"^onnx needs onnxruntime: pip install 'pipepita\[onnx\]'$"):
        extras.need("onnx", "onnxruntime")
