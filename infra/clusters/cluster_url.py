"""`ClusterUrl`: what the one setting LONGFORM_CLUSTER says, taken apart."""

from collections.abc import Collection, Mapping
from urllib.parse import parse_qsl, urlsplit

from longform.errors import EnvironmentFaultError
from longform.params import FrozenModel

SETTING = "LONGFORM_CLUSTER"
LOCAL = "local"


class ClusterUrl(FrozenModel):
    """The parts of the setting: `scheme://hosts/path?options`, or the word `local`."""

    address: str
    scheme: str
    hosts: str = ""  # user, hosts and ports, as written
    path: str = ""
    options: Mapping[str, str] = {}

    @property
    def is_local(self) -> bool:
        """Whether a cluster of its own is started on this machine."""
        return self.scheme == LOCAL

    def require_options(self, known: Collection[str]) -> None:
        """Check that no option is misspelt.

        Raises:
            EnvironmentFaultError: an option that this kind of cluster does not have.
        """
        unknown = sorted(set(self.options) - set(known))
        if unknown:
            raise EnvironmentFaultError(
                f"{SETTING}: {self.scheme}:// has no option {', '.join(unknown)}; "
                f"it has {', '.join(sorted(known))}"
            )

    def whole_number(self, option: str, default: int) -> int:
        """Return an option that counts something, from 0.

        Raises:
            EnvironmentFaultError: it is no such number.
        """
        text = self.options.get(option, str(default))
        if not text.isascii() or not text.isdigit():
            raise EnvironmentFaultError(
                f"{SETTING}: {option}={text} is not a whole number; write {option}=1"
            )
        return int(text)


def cluster_url(setting: str) -> ClusterUrl:
    """Take the setting apart.

    Raises:
        EnvironmentFaultError: it carries a password, or cannot be read.
    """
    if setting == LOCAL:
        return ClusterUrl(address=setting, scheme=LOCAL)
    try:
        parts = urlsplit(setting)
        options = dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
    except ValueError as error:
        raise EnvironmentFaultError(f"{SETTING} is not an address: {error}") from error
    if ":" in parts.netloc.rpartition("@")[0]:
        raise EnvironmentFaultError(
            f"{SETTING} carries a password, which logs would show: use a key, or a secret of the "
            "cluster's own configuration"
        )
    return ClusterUrl(
        address=setting,
        scheme=parts.scheme,
        hosts=parts.netloc,
        path=parts.path.strip("/"),
        options=options,
    )
