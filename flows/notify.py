"""The former name of `flows.webhook.notify`, kept for one release.

Prefect stores the entrypoint of a deployment: a server that was set up before the move asks for
the flow under this name until the next `longform deploy`.
"""

from flows.webhook import notify

__all__ = ["notify"]
