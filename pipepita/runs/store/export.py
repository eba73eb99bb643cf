"""`export`: the trained network of a run as a file that needs no pipepita, checked against the checkpoint's outputs."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pipepita.errors import PipepitaError, RunError, UserError
from pipepita.extras import need
from pipepita.files import check_apart, check_writable, write_whole
from pipepita.randomness import generator
from pipepita.runs.store.checkpoint import Checkpoint
from pipepita.runs.store.saved import SavedRun
from pipepita.streams.targets import NumberTargets

_TRIED = (3, 1)  # how many items the network is tried with, after it was traced with another number
_TRACED = 7
_RELATIVE, _ABSOLUTE = 1e-3, 1e-4  # other kernels round differently


def export(
    run_dir: str | Path, *, onnx: str | Path | None = None, torch_export: str | Path | None = None
) -> dict[str, Any]:
    """Writes the network of a run's last checkpoint, for inference elsewhere.

    It takes (B, *item_shape) float32 for any number of items B, in the data set's own units (a standardisation is part
    of the network), and gives (B, classes) float32: the scores before the softmax; or the numbers that are predicted,
    in the labels' own units.

    Args:
        run_dir: The folder of a training run or an online run.
        onnx: A file for ONNX. Its input is called "items", its output "scores". Needs `pip install 'pipepita[onnx]'`.
        torch_export: A file for `torch.export.load`.

    Returns:
        "run_dir", "step", "item_shape" and "classes" (or how many numbers are predicted). And "onnx" and
        "torch-export", if they were asked for: each has its "file", and the "largest_difference" between its outputs
        and the network's own.

    Raises:
        UserError: The folder is no run folder or holds no checkpoint, a file cannot be written, both files are
            the same, or onnx is missing.
        RunError: The network cannot be exported, or what was exported gives other outputs. Then nothing is written.

    Example:
        >>> import pipepita as pp
        >>> data = pp.load("digits")
        >>> model = pp.build("fc:32", data.item_shape, data.classes)
        >>> result = pp.train(model, data, engine="local", epochs=1, run_dir="exported-run")
        >>> exported = pp.export("exported-run", torch_export="network.pt2")
        >>> network = torch.export.load("network.pt2").module()
        >>> torch.equal(network(data.x_test), model.eval()(data.x_test))
        True
    """
    if onnx is None and torch_export is None:
        raise UserError("nothing to write: give a file for --onnx or --torch-export")
    files = {name: Path(path) for name, path in (("onnx", onnx), ("torch-export", torch_export)) if path is not None}
    for name, path in files.items():
        check_writable(path, name)
    check_apart(files)
    saved = SavedRun.open(run_dir, online=True)
    if saved.checkpoint is None:
        raise UserError(f"{saved.path} holds no checkpoint yet")
    network, shape = _in_own_units(saved.model, saved.checkpoint).eval(), tuple(saved.entry("item_shape"))
    about: dict[str, Any] = {
        "run_dir": str(saved.path),
        "step": saved.checkpoint.about["step"],
        "item_shape": list(shape),
        "classes": saved.entry("classes"),
    }
    with _quiet():
        program = _traced(network, shape)
        contents = {}
        for name, path in files.items():
            contents[path], run = _exported(name, program)
            about[name] = {"file": str(path), "largest_difference": _difference(name, run, network, shape)}
    for path, content in contents.items():
        write_whole(path, content)
    return about


class _Scaled(nn.Module):
    """Outputs in the labels' own units: an online run learns numbers that are standardised."""

    def __init__(self, mean: np.ndarray, deviation: np.ndarray) -> None:
        super().__init__()
        self.register_buffer("mean", torch.from_numpy(mean).float())
        self.register_buffer("deviation", torch.from_numpy(deviation).float())

    def forward(self, scores: Tensor) -> Tensor:
        return scores * self.deviation + self.mean  # type: ignore[operator]


def _in_own_units(model: nn.Sequential, checkpoint: Checkpoint) -> nn.Sequential:
    """`model`, behind which outputs become what people were told, if numbers are predicted."""
    state = checkpoint.about.get("targets")
    if not state:
        return model
    targets = NumberTargets(len(state["mean"]))
    targets.load(state)
    return nn.Sequential(*model, _Scaled(*targets.scale()))


def _traced(network: nn.Sequential, shape: tuple[int, ...]) -> Any:
    with _explained():
        batch = torch.export.Dim("batch")
        return torch.export.export(network, (_items(_TRACED, shape),), dynamic_shapes=({0: batch},))


def _exported(name: str, program: Any) -> tuple[bytes, Callable[[Tensor], Tensor]]:
    """What a file is to hold, and a function that computes with it."""
    with _explained():
        return _WRITERS[name](program)


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    """Turns whatever torch's exporters raise into a `RunError`; errors of ours stay as they are."""
    try:
        yield
    except PipepitaError:
        raise
    except Exception as error:
        raise RunError(f"the network cannot be exported: {(str(error).splitlines() or ['?'])[0]}") from None


def _as_torch(program: Any) -> tuple[bytes, Callable[[Tensor], Tensor]]:
    file = io.BytesIO()
    torch.export.save(program, file)
    file.seek(0)
    return file.getvalue(), torch.export.load(file).module()


def _as_onnx(program: Any) -> tuple[bytes, Callable[[Tensor], Tensor]]:
    need("onnx", "onnxruntime", "onnxscript")  # of which torch needs the latter
    import onnxruntime

    made = torch.onnx.export(program, dynamo=True, input_names=["items"], output_names=["scores"], verbose=False)
    assert made is not None
    content = made.model_proto.SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return content, lambda items: torch.from_numpy(session.run(None, {"items": items.numpy()})[0])


_WRITERS: dict[str, Callable[[Any], tuple[bytes, Callable[[Tensor], Tensor]]]] = {
    "onnx": _as_onnx,
    "torch-export": _as_torch,
}


def _difference(name: str, run: Callable[[Tensor], Tensor], network: nn.Sequential, shape: tuple[int, ...]) -> float:
    """The largest difference between the outputs; `RunError` if it is more than rounding."""
    largest = 0.0
    with torch.no_grad():
        for count in _TRIED:
            items = _items(count, shape)
            found, expected = run(items), network(items)
            if found.shape != expected.shape or not torch.allclose(found, expected, _RELATIVE, _ABSOLUTE):
                raise RunError(
                    f"{name}: what was exported gives other outputs than the checkpoint, so it is not written"
                )
            largest = max(largest, float((found - expected).abs().max()))
    return largest


def _items(count: int, shape: tuple[int, ...]) -> Tensor:
    return torch.rand(count, *shape, generator=generator(0, "export", count))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Torch's exporters talk a lot."""
    level = logging.getLogger("torch.onnx").level
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.getLogger("torch.onnx").setLevel(level)
