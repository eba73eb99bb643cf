"""`python -m bench.step`."""

from bench.common import main
from bench.step import measure

main(measure.measure, measure.__doc__)
