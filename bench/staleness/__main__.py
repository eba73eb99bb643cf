"""`python -m bench.staleness`."""

from bench.common import main
from bench.staleness import measure

main(measure.measure, measure.__doc__)
