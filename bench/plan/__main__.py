"""`python -m bench.plan`."""

from bench.common import main
from bench.plan import measure

main(measure.measure, measure.__doc__)
