"""The protocols of an engine and of the pipeline that it builds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from pipepita.channels.channel import Inlet, Outlet
from pipepita.pipeline.pulse import Pulse
from pipepita.pipeline.state import State
from pipepita.pipeline.wiring import Plan
from pipepita.timeline.recorder import Spans


class Pipeline(Protocol):
    """Stages that are connected to each other and to the coordinator.

    Between `train` or `evaluate` and `join` the stages run and messages flow. At other times no sample is in flight.

    Attributes:
        threads: How many intra-op threads of torch the coordinator may use. Idle ones spin for a while and take cores,
            so it is one if the stages are processes of their own.
        classes: How many classes there are.
        depth: How many stages there are.
        aligns: Whether the rule needs `align` before each epoch.

    Example:
        One sample through a pipeline by hand; `Coordinator` does the same for a whole epoch:

        >>> import torch
        >>> import pipepita as pp
        >>> from pipepita.network.cut import cut
        >>> from pipepita.pipeline.stage import compute_mode, stages
        >>> from pipepita.pipeline.task import Task
        >>> from pipepita.pipeline.wiring import Plan
        >>> from pipepita.schedule import relaxed
        >>> task = Task(cut(pp.build("fc:5", (4,), 3), (4,), 3), 3, pp.DirectFeedbackAlignment())
        >>> pipeline = pp.LocalEngine("cpu").open(Plan(stages(task, [range(1), range(1, 2)]), relaxed(), batch_size=8))
        >>> with compute_mode(pipeline.threads):
        ...     pipeline.train(first=0, lr=0.1)
        ...     pipeline.samples.send("standard", 0, torch.rand(8, 4))
        ...     output = pipeline.outputs.receive().tensor
        ...     for outlet in pipeline.signals["broadcast"]:
        ...         outlet.send("broadcast", 0, output - torch.eye(3)[torch.tensor([0, 1, 2, 0, 1, 2, 0, 1])])
        ...     pipeline.samples.send("end", 1)
        ...     pipeline.join()
        >>> output.shape, sorted(pipeline.state().weights)
        (torch.Size([8, 3]), ['0.weight', '2.weight'])
        >>> pipeline.close()
    """

    threads: int
    classes: int
    depth: int
    aligns: bool

    @property
    def samples(self) -> Outlet:
        """The channel to the first stage, for (B, *item_shape)."""

    @property
    def outputs(self) -> Inlet:
        """The channel from the last stage, with (B, classes)."""

    @property
    def signals(self) -> Mapping[str, Sequence[Outlet]]:
        """By kind of message (`wiring.told`): the channels to all stages that get it.

        A pass stands for the target (first pass) or the error (second pass) of its sample.
        """

    @property
    def done(self) -> Sequence[Inlet]:
        """The channels from every stage, if the schedule waits for updates; else none."""

    def train(self, first: int, lr: float) -> None:
        """Every stage begins to train.

        Args:
            first: The number of the next sample.
            lr: The learning rate.
        """

    def align(self, epoch: int) -> None:
        """Every layer aligns its feedback with the weights. Only for a rule that aligns, and between epochs.

        Args:
            epoch: The epoch that begins, from 1.
        """

    def evaluate(self) -> None:
        """Every stage begins to evaluate: forward passes without dropout or learning."""

    def catch_up(self) -> None:
        """Lets stages work that do not run by themselves, until all of them wait for messages.

        The coordinator calls it while no sample arrives, so that nothing is left undone until one does.
        """

    def join(self) -> None:
        """Waits until every stage has finished what `train` or `evaluate` began.

        Raises:
            RunError: A stage failed.
        """

    def state(self) -> State:
        """A copy of what all layers have learnt, on the CPU."""

    def load(self, state: State) -> None:
        """Every stage continues from its part of `state`, which must hold all that `state()` returns."""

    def pulses(self) -> Sequence[Pulse | None]:
        """The latest pulse of each stage; None for a stage that gives none."""

    def timeline(self) -> list[Spans]:
        """What each stage recorded, in times of the coordinator's clock."""

    def non_finite(self) -> str | None:
        """The name of the first layer with a weight that is NaN or infinite; None if there is none."""

    def close(self) -> None:
        """Frees the channels and stages, whatever state they are in."""


class Engine(Protocol):
    """Builds pipelines. It may be kept open to build many, one after the other.

    Attributes:
        name: Its name.
        most_stages: How many stages a pipeline may have; None for any number.

    Example:
        >>> import pipepita as pp
        >>> engine = pp.LocalEngine("cpu")
        >>> engine.name, engine.most_stages, engine.devices(stages=2), engine.repair()
        ('local', None, ['cpu', 'cpu'], [])
        >>> engine.close()
    """

    name: str

    @property
    def most_stages(self) -> int | None:
        """As above."""

    def devices(self, stages: int) -> list[str]:
        """The torch device of each stage.

        Args:
            stages: How many stages there will be.

        Raises:
            UserError: There are not enough devices.
        """

    def open(self, plan: Plan) -> Pipeline:
        """Builds a pipeline.

        Args:
            plan: Its stages and its schedule.

        Raises:
            UserError: The engine cannot build such a pipeline.
            RunError: A stage or a channel could not be started.
        """

    def repair(self, stop: Callable[[], bool] = lambda: False) -> list[int]:
        """Replaces what the engine has lost since it was made, like actors that died.

        Args:
            stop: Asked while it waits. If it returns true, a long wait ends.

        Returns:
            The stages that now run somewhere else.

        Raises:
            KeyboardInterrupt: `stop` ended the wait.
            RunError: What was lost cannot be replaced.
        """

    def close(self) -> None:
        """Gives back all that the engine took, like actors or a cluster of its own."""
