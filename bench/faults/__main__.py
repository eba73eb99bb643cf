"""`python -m bench.faults`."""

from bench.common import main
from bench.faults import measure

main(measure.measure, measure.__doc__)
