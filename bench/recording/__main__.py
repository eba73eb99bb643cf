"""`python -m bench.recording`."""

from bench.common import main
from bench.recording import measure

main(measure.measure, measure.__doc__)
