"""`python -m fenshen` is `fenshen`."""

from fenshen.cli import main

if __name__ == "__main__":
    main()
