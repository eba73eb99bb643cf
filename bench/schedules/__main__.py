"""`python -m bench.schedules`."""

from bench.common import main
from bench.schedules import measure

main(measure.measure, measure.__doc__)
