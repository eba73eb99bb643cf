"""`python -m bench.edge`."""

from bench.common import main
from bench.edge import measure

main(measure.measure, measure.__doc__)
