"""The local cluster in a process of its own, so that its scheduler can be told from the flow.

Prints the scheduler's address and stays until its standard input ends.
"""

import sys

from infra.cluster import local_cluster
from longform.settings import Settings


def main() -> None:
    """Open the cluster that the settings of this process describe."""
    with local_cluster(Settings()) as cluster:
        print(cluster.scheduler_address, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
