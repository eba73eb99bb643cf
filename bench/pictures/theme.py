"""Light and dark: every drawn picture exists twice, in the colours of a page on either ground."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Theme:
    """Colours that can be read on one ground. The ground itself stays transparent.

    name: the end of the file's name. ink: text and lines. faint: what is less important. grid: lines behind the data.
    lines: for as many series.
    """

    name: str
    ink: str
    faint: str
    grid: str
    lines: tuple[str, ...]

    def settings(self) -> Any:
        """As matplotlib's settings."""
        from matplotlib import cycler  # type: ignore[attr-defined]

        return {
            "text.color": self.ink, "axes.edgecolor": self.faint, "axes.labelcolor": self.ink, "grid.color": self.grid,
            "xtick.color": self.faint, "ytick.color": self.faint, "xtick.labelcolor": self.ink,
            "ytick.labelcolor": self.ink, "axes.prop_cycle": cycler(color=self.lines), "savefig.transparent": True,
            "axes.spines.top": False, "axes.spines.right": False, "font.size": 10, "axes.facecolor": "none",
            "svg.hashsalt": "pipepita", "svg.fonttype": "path",
        }  # fmt: skip


LIGHT = Theme(
    "light", "#1f2328", "#59636e", "#d1d9e0", ("#0969da", "#bc4c00", "#1a7f37", "#8250df", "#cf222e", "#59636e")
)
DARK = Theme(
    "dark", "#f0f6fc", "#9198a1", "#3d444d", ("#4493f8", "#f0883e", "#3fb950", "#ab7df8", "#f85149", "#9198a1")
)


def drawn(
    name: str, size: tuple[float, float], draw: Callable[[Any, Theme], None], rows: object = None
) -> Iterator[Path]:
    """Lets `draw(figure, theme)` draw the picture for either ground, `size` in inches; yields the files.

    rows: what a chart shows. Its digest stands in the file, so that a chart of an old table can be told.
    """
    import matplotlib
    from matplotlib.figure import Figure

    for theme in (LIGHT, DARK):
        with matplotlib.rc_context(theme.settings()):
            figure = Figure(figsize=size, layout="constrained")
            draw(figure, theme)
            path = HERE / f"{name}-{theme.name}.svg"
            digest = hashlib.sha256(json.dumps(rows).encode()).hexdigest()
            figure.savefig(path, metadata={"Date": None} | ({"Description": f"rows {digest}"} if rows else {}))
        yield path
