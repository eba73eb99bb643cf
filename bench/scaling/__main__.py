"""`python -m bench.scaling`."""

from bench.common import main
from bench.scaling import measure

main(measure.measure, measure.__doc__)
