"""`python -m bench.soak`."""

from bench.common import main
from bench.soak import measure

main(measure.measure, measure.__doc__)
