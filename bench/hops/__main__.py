"""`python -m bench.hops`."""

from bench.common import main
from bench.hops import measure

main(measure.measure, measure.__doc__)
