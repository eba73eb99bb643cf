"""`python -m bench.step`."""

from bench.step.measure import main

main()
