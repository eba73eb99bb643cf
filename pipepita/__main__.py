"""`python -m pipepita`."""

from pipepita.cli import main

if __name__ == "__main__":
    main()
