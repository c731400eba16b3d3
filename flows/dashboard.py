"""The link to the Dask dashboard of a run, there as long as the run can be watched."""

from urllib.parse import urlsplit

from prefect.artifacts import acreate_link_artifact


async def publish_dashboard(address: str) -> None:
    """Link the dashboard of the cluster, where it has pages that a browser can open."""
    if urlsplit(address).scheme in ("http", "https"):
        await acreate_link_artifact(
            address, link_text="Dask dashboard", key="dask-dashboard", description="Dask dashboard"
        )
