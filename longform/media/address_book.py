"""The place of these functions up to version 0.1: use `longform.seal`. It goes with version 0.3."""

from longform.media.sources.signed_urls import resolve as full_address
from longform.media.sources.signed_urls import seal

__all__ = ["full_address", "seal"]
