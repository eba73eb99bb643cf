"""`python -m bench.snapshots`."""

from bench.common import main
from bench.snapshots import measure

main(measure.measure, measure.__doc__)
