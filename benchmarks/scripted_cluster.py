"""A Dask cluster without a model in a process of its own, until its standard input ends.

Its scheduler can so be told from the flow, and both from the workers. The engine is the one of
the tests, which answers from the hash of the audio: what is measured is everything else.
"""

import sys

from infra.cluster import local_cluster
from longform.settings import Settings


def main() -> None:
    """Start it as the settings of this process say, and print its address."""
    with local_cluster(Settings()) as cluster:
        sys.stdout.write(f"{cluster.scheduler_address}\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main()
