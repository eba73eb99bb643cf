"""All figures of this device, and the table that holds them."""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import dataclass, replace

from pipepita.edge.calibration import rate
from pipepita.edge.devices.measured import AHEAD, Measured
from pipepita.edge.devices.measured_text import lines
from pipepita.machine import cores, machine
from pipepita.profiling import load as loads
from pipepita.profiling.coordination import beside
from pipepita.profiling.fit import Timed, ahead_rates, fitted
from pipepita.profiling.memory import bandwidth, free
from pipepita.profiling.passes import looked_ahead, ran, timed
from pipepita.profiling.power import meter
from pipepita.progress import Progress, stoppable


@dataclass(frozen=True)
class Findings:
    """What was measured.

    Attributes:
        flops: Of large products on one thread, when nothing has throttled yet.
        bandwidth: Bytes per second, read and written.
        ram: Bytes that were free.
        measured: Of passes.
        passes: How long each took, of which `measured` was made.
        kept: The share of its speed that was left under load; None if that was not tried.
        meter: What measures power, or why nothing is known of it.
        idle, active: Watts.
    """

    flops: float
    bandwidth: float
    ram: int
    measured: Measured
    passes: list[Timed]
    kept: float | None
    meter: str
    idle: float | None
    active: float | None

    def table(self, name: str) -> str:
        """The device as a file of profiles holds it."""
        about = machine()
        here = f"measured by pipepita profile: {about['cpu']}, {cores()} cores, torch {about['torch']}; one thread"
        rows = [f"[devices.{name}]", f'title = "{name}: {platform.machine()}, measured"']
        rows += [
            f'flops = {{value = "{self.flops / 1e9:.4g}G", source = "{here}"}}',
            f'bandwidth = {{value = "{self.bandwidth / 1e9:.4g}G", source = "measured: one thread copies"}}',
            f'ram = {{value = "{self.ram / 2**20:.0f}Mi", source = "measured: free at that time"}}',
        ]
        if self.idle is None:
            rows.append(f"# idle_watts and active_watts are missing: {self.meter}")
        else:
            rows.append(f'idle_watts = {{value = "{self.idle:.4g}", source = "measured: {self.meter}"}}')
            if self.active is None:
                rows.append("# active_watts is missing: it needs --load-seconds")
            else:
                active = max(self.idle, self.active)
                rows.append(f'active_watts = {{value = "{active:.4g}", source = "measured: {self.meter}"}}')
        if self.kept is not None:
            rows.append(f"# under load it kept {100 * self.kept:.0f} % of its speed")
        rows += ["", f"[devices.{name}.measured]", *lines(self.measured)]
        return "\n".join(rows) + "\n"


def profile(seconds: float, progress: Callable[[str], Progress], stop: Callable[[], bool] = lambda: False) -> Findings:
    """Measures this device. It takes about three minutes, and `seconds` under load.

    Args:
        seconds: How long to load all cores; 0 for not at all.
        progress: Called with what is measured next. Returns a function that is called with (parts done, parts in all,
            what comes now).
        stop: Asked now and then.

    Raises:
        KeyboardInterrupt: `stop` said true.
    """

    def advance(what: str) -> Progress:
        return stoppable(progress(what), stop)

    runs = ran(advance("passes"))
    found = beside(runs, advance("coordinator"))
    passes = timed(runs, found.longer)
    measured = replace(fitted(passes), together=found.together, apart=found.apart, message=found.message)
    rates = ahead_rates(looked_ahead(advance("passes")), measured)
    measured = replace(measured, rates={**measured.rates, AHEAD: rates})
    fastest = rate()  # before the load, under which a device may throttle
    with meter() as power:
        idle = loads.idle_watts(power)
        under = loads.load(seconds, power, advance("load"), stop) if seconds else None
        said = "no RAPL, hwmon or INA sensor was found, or only root may read it" if power is None else power.name
    return Findings(
        fastest, bandwidth(), free(), measured, passes, None if under is None else under.kept, said, idle,
        None if under is None else under.watts,
    )  # fmt: skip
