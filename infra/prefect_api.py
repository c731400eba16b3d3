"""Where the Prefect API is, and what a process must be told to use it.

Nothing here imports Prefect, which reads its settings at import: the variables must be in place
before. So the active profile is read here, and not by `prefect.settings.load_profiles`; to import
that would also have a server start a second later.
"""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path

import httpx

from longform.errors import EnvironmentFaultError
from longform.params import FrozenModel

LOOPBACK_HOST = "127.0.0.1"
ANSWER_TIMEOUT_SEC = 5.0


class ServerAddress(FrozenModel):
    """Where the Prefect API is, and what a process needs to know to use it."""

    api_url: str
    ui_url: str
    prefect_home: Path | None = None  # only of a server of ours; else the user's own applies

    def environment(self) -> dict[str, str]:
        """Return the variables for flows, workers and Prefect's own command."""
        values = {"PREFECT_API_URL": self.api_url, "PREFECT_SERVER_EPHEMERAL_ENABLED": "false"}
        if self.prefect_home is not None:
            values |= {
                "PREFECT_HOME": str(self.prefect_home),
                "PREFECT_UI_URL": self.ui_url,
                "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
                "DO_NOT_TRACK": "1",
                # SQLite answers 503 while another process writes; the client then tries again.
                "PREFECT_CLIENT_MAX_RETRIES": "10",
                # Our server has no such protection, and every client would ask it for a token.
                "PREFECT_CLIENT_CSRF_SUPPORT_ENABLED": "false",
            }
        return values

    def apply(self) -> None:
        """Put the variables into this process; call it before the first import of Prefect."""
        os.environ.update(self.environment())


def configured_address(environment: Mapping[str, str]) -> ServerAddress | None:
    """Return the API that the user has chosen: `PREFECT_API_URL`, else the active profile's."""
    url = environment.get("PREFECT_API_URL") or _profile(environment).get("PREFECT_API_URL")
    if not url:
        return None
    return ServerAddress(api_url=url, ui_url=url.removesuffix("/").removesuffix("/api"))


def address_source(environment: Mapping[str, str]) -> str | None:
    """Return what `configured_address` goes by: the environment or a profile; None: neither."""
    if environment.get("PREFECT_API_URL"):
        return "environment PREFECT_API_URL"
    return "active Prefect profile" if _profile(environment).get("PREFECT_API_URL") else None


def _profile(environment: Mapping[str, str]) -> dict[str, str]:
    home = Path(environment.get("PREFECT_HOME") or Path.home() / ".prefect")
    path = Path(environment.get("PREFECT_PROFILES_PATH") or home / "profiles.toml")
    try:
        document = tomllib.loads(path.read_text())
    except (OSError, tomllib.TOMLDecodeError):
        return {}  # Prefect itself says what is wrong with the file
    active = environment.get("PREFECT_PROFILE") or document.get("active")
    profile: dict[str, str] = document.get("profiles", {}).get(active, {})
    return profile


def answers(api_url: str) -> bool:
    """Say whether a Prefect API answers at `api_url`."""
    try:
        response = _get(f"{api_url}/health")
    except (httpx.TransportError, httpx.InvalidURL):
        return False
    return response.status_code < 500  # 401 and the like: it is there, and Prefect sends the key


def server_version(api_url: str) -> str | None:
    """Return the Prefect version of the server, or None where it does not say."""
    try:
        return str(_get(f"{api_url}/admin/version").raise_for_status().json())
    except (httpx.HTTPError, httpx.InvalidURL, ValueError):
        return None


def require_answer(address: ServerAddress) -> None:
    """Check that the API that the user has chosen answers.

    Raises:
        EnvironmentFaultError: there is none.
    """
    if not answers(address.api_url):
        raise EnvironmentFaultError(
            f"no Prefect server answers at {address.api_url} (PREFECT_API_URL, or the active "
            "Prefect profile): start it with `prefect server start`, or unset that setting"
        )


def _get(url: str) -> httpx.Response:
    # A proxy from the environment must not come between this machine and itself.
    trust_env = not url.startswith(f"http://{LOOPBACK_HOST}:")
    return httpx.get(url, timeout=ANSWER_TIMEOUT_SEC, trust_env=trust_env)
