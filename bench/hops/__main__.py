"""`python -m bench.hops`."""

from bench.hops.measure import main

main()
