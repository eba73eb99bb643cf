"""`python -m bench.race`."""

from bench.common import main
from bench.race import measure

main(measure.measure, measure.__doc__)
