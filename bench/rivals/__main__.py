"""`python -m bench.rivals`."""

from bench.common import main
from bench.rivals import measure

main(measure.measure, measure.__doc__)
