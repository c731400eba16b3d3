"""`python -m cli` is `longform`."""

from cli.main import main

main()
