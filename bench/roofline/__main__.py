"""`python -m bench.roofline`."""

from bench.common import main
from bench.roofline import measure

main(measure.measure, measure.__doc__)
