"""`python -m bench.online`."""

from bench.common import main
from bench.online import measure

main(measure.measure, measure.__doc__)
