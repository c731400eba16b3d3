"""The place of these functions up to version 0.1: use `longform.seal`. It goes with version 0.3."""

from longform.media.sources.signed_urls import full_address, seal

__all__ = ["full_address", "seal"]
