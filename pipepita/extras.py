"""Packages that only some commands need: which extra brings them, and what is said if one is missing."""

from __future__ import annotations

from importlib.util import find_spec

from pipepita.errors import UserError

# by the name that is imported: the name that is installed, and the extra of pipepita that brings it
_PACKAGES = {
    "matplotlib": ("matplotlib", "plots"),
    "onnxruntime": ("onnxruntime", "onnx"),
    "onnxscript": ("onnxscript", "onnx"),
    "paho": ("paho-mqtt", "mqtt"),
    "river": ("river", "edge"),
    "scipy": ("scipy", "edge"),
    "sklearn": ("scikit-learn", "plots"),
}


def need(what: str, *packages: str) -> None:
    """Raises `UserError` if a package is not installed, before anything long begins.

    Args:
        what: What needs them, like "--plot".
        packages: By the names that are imported.

    Raises:
        UserError: One of them is missing. The line says how to install it.

    Example:
        >>> need("--plot", "matplotlib")
    """
    for package in packages:
        if find_spec(package) is None:
            name, extra = _PACKAGES[package]
            raise UserError(f"{what} needs {name}: pip install 'pipepita[{extra}]'")
