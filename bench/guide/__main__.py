from bench.common import main
from bench.guide import measure

if __name__ == "__main__":
    main(measure.measure, measure.__doc__)
