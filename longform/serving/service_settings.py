"""`ServiceSettings`: what the operator of a model service decides, from LONGFORM_SERVICE_*."""

import ipaddress

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from longform.errors import ParameterError

MIB = 2**20


class ServiceSettings(BaseSettings):
    """Address, keys and limits of one service; read once, and passed down."""

    model_config = SettingsConfigDict(env_prefix="LONGFORM_SERVICE_", frozen=True, extra="ignore")

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8000, ge=0, le=65_535, description="Port to listen on; 0: any free one.")
    api_key: SecretStr | None = Field(
        None, description="Bearer keys that are let in, comma-separated."
    )
    allow_anonymous: bool = Field(
        False, description="Listen beyond this machine without any key all the same."
    )
    aliases: str = Field("whisper-1", description="More names of the model, comma-separated.")
    max_upload_mb: int = Field(1_024, ge=1, description="Largest upload, in MiB.")
    max_duration_sec: float = Field(
        14_400.0, gt=0, description="Longest recording, in seconds (4 h)."
    )
    request_timeout_sec: float = Field(
        3_600.0, gt=0, description="Longest time for a request, upload included, in seconds."
    )
    upload_stall_sec: float = Field(
        20.0, gt=0, description="Longest wait for the next bytes of a request, in seconds."
    )
    min_upload_bytes_per_sec: int = Field(
        4_000, ge=0, description="A slower upload is ended; compressed speech needs about this."
    )
    max_requests: int = Field(
        256, ge=1, description="Requests that are uploading, waiting or running; more get 429."
    )
    max_decoding: int = Field(
        16, ge=1, description="Recordings that are decoded and cut at the same time."
    )
    batch_wait_ms: int = Field(
        30, ge=0, le=10_000, description="How long a batch that is not full waits for others."
    )
    grace_sec: float = Field(
        60.0, ge=0, description="How long a stop waits for what is running, in seconds."
    )

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that are let in; none where everybody is."""
        return _split(self.api_key.get_secret_value()) if self.api_key else ()

    @property
    def alias_names(self) -> tuple[str, ...]:
        """The further names of the model."""
        return _split(self.aliases)

    @property
    def max_upload_bytes(self) -> int:
        """Largest upload in bytes."""
        return self.max_upload_mb * MIB


def service_settings(**overrides: object) -> ServiceSettings:
    """Return the settings of this process with those overrides that are not None, checked.

    Raises:
        ParameterError: one is out of bounds, or strangers could reach a service without a key.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        settings = ServiceSettings.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        raise ParameterError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    if not (settings.keys or settings.allow_anonymous or is_loopback(settings.host)):
        raise ParameterError(
            f"host: {settings.host} can be reached from other machines: set "
            "LONGFORM_SERVICE_API_KEY, or say --allow-anonymous"
        )
    return settings


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _split(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
