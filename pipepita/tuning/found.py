"""What trials came to: each with its values, its score and the digest of its weights; the best one as a job file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipepita.report import Report, Value, legend
from pipepita.runs.options.job import Job
from pipepita.tuning.space import settled
from pipepita.tuning.trial import LOWEST

_COLOURS = 10  # of matplotlib, before they begin anew


@dataclass(frozen=True)
class Tried:
    """One trial.

    Attributes:
        number: From 1, in the order of drawing.
        drawn: The values of the options that were searched.
        scores: After each epoch: the accuracy on the held-out items in percent, or R2. -inf if it diverged.
        weights_sha256: The digest of the trained weights; None if it did not come to its last epoch.
        trouble: Why it ended early by itself: that it diverged, which values do not go together, or that its process
            was lost again and again.
    """

    number: int
    drawn: Mapping[str, Any]
    scores: Sequence[float] = ()
    weights_sha256: str | None = None
    trouble: str | None = None

    @property
    def score(self) -> float:
        """The last one; -inf if there is none, or it ended in trouble."""
        return self.scores[-1] if self.scores and self.trouble is None else LOWEST

    def words(self, epochs: int) -> str:
        """How it ended."""
        if self.trouble is not None:
            return self.trouble
        if self.weights_sha256 is not None:
            return "done"
        return f"stopped after {len(self.scores)} of {epochs} epochs" if self.scores else "not run"


@dataclass(frozen=True)
class Found:
    """The outcome of a search.

    Attributes:
        job: What all trials have in common.
        trials: All of them, the best first.
        interrupted: Whether somebody stopped it before all trials had ended.
    """

    job: Job
    trials: list[Tried] = field(default_factory=list)
    interrupted: bool = False

    @property
    def best(self) -> Tried | None:
        """The one that ended best, of those that came to the last epoch."""
        return next((one for one in self.trials if one.weights_sha256 is not None), None)

    @property
    def best_job(self) -> Job | None:
        """The job with the best trial's values; `train` comes to the same weights with it."""
        return None if self.best is None else settled(self.job, self.best.drawn)

    def report(self) -> Report:
        """A table with one row per trial, and a picture."""
        options = [*self.trials[0].drawn] if self.trials else []
        rows: list[list[Value]] = [
            [
                one.number, *(_plain(one.drawn[name]) for name in options), len(one.scores),
                None if one.score == LOWEST else round(one.score, 4), one.words(self.job.epochs),
            ]
            for one in self.trials
        ]  # fmt: skip
        notes = [
            f"{self.job.rule} on {self.job.dataset}, {self.job.network}: up to {self.job.epochs} epochs, seed "
            f"{self.job.seed}; {self.job.validation:.0%} of the training items were held out and tested on. "
            "score: their accuracy in percent after the last epoch, or R2 if numbers are predicted."
        ]
        return Report(
            "Trials, the best first", ["trial", *options, "epochs", "score", "how it ended"], rows, notes, self._draw
        )

    def _draw(self, figure: Any) -> None:
        """On the left each trial over its epochs, on the right the last score against each option."""
        options = [*self.trials[0].drawn] if self.trials else []
        curves, *places = figure.subplots(1, 1 + len(options), squeeze=False)[0]
        for place, one in enumerate(self.trials):
            finite = [(epoch, score) for epoch, score in enumerate(one.scores, 1) if score != LOWEST]
            if finite:
                label = f"trial {one.number}" if place < _COLOURS else None
                curves.plot(*zip(*finite, strict=True), marker=".", label=label)
        curves.set_xlabel("epoch")
        curves.set_ylabel("score on held-out items")
        legend(curves)
        for axes, name in zip(places, options, strict=True):
            points = [(one.drawn[name], one.score) for one in self.trials if one.score != LOWEST]
            numbers = all(isinstance(value, (int, float)) and not isinstance(value, bool) for value, _ in points)
            if points:
                values, scores = zip(*points, strict=True)
                axes.scatter(values if numbers else [*map(str, values)], scores, s=12)
            if numbers and points and min(values) > 0 and max(values) / min(values) > 20:
                axes.set_xscale("log")
            axes.set_xlabel(name)

    def write(self, folder: Path) -> list[Path]:
        """Writes trials.csv, trials.md and trials.png; and best.toml, unless no trial came to its last epoch."""
        paths = self.report().write(folder, "trials")
        job = self.best_job
        if job is not None:
            paths.append(folder / "best.toml")
            paths[-1].write_text(toml(job, self.best), encoding="utf-8")
        return paths


def toml(job: Job, best: Tried | None = None) -> str:
    """A job as a TOML file: what differs from the defaults. best: the trial that it comes from, for a comment.

    Example:
        >>> print(toml(Job(lr=0.3, rule={"name": "pepita", "f_scale": 0.2})), end="")
        lr = 0.3
        rule = {name = "pepita", f_scale = 0.2}
    """
    lines = []
    if best is not None:
        lines += [
            f"# Trial {best.number}: {best.score:.4g} on held-out items, weights_sha256 {best.weights_sha256}.",
            "# With --set validation=0 it learns from all training items, and is tested on the test items.",
        ]
    values = job.model_dump(mode="json", exclude_unset=True, exclude_none=True)
    return "\n".join([*lines, *(f"{name} = {_toml(value)}" for name, value in values.items()), ""])


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{name} = {_toml(one)}' for name, one in value.items())}}}"
    return json.dumps(value, ensure_ascii=False)  # TOML has no surrogates


def _plain(value: Any) -> Value:
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else str(value)
