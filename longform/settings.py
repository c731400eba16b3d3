"""`Settings`: what the operator of this machine decides, read once from LONGFORM_* variables."""

import os
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from longform.errors import ParameterError

ENV_PREFIX = "LONGFORM_"


class Settings(BaseSettings):
    """Where things lie and how work is spread; what a run asks for is in `TranscribeParams`.

    Every field is read from the environment variable of its name with the prefix
    `LONGFORM_`, in the process that needs it: a worker on another host reads its own.
    """

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, frozen=True, extra="ignore")

    home: Path = Field(
        default_factory=lambda: Path.home() / ".longform",
        description="Folder for everything that outlives a run: cache, weights, local server.",
    )
    chunk_store: str | None = Field(
        None, description="Folder or fsspec URL of cached chunk results; workers must reach it."
    )
    work_store: str | None = Field(
        None, description="Folder or fsspec URL for audio in transit; workers must reach it."
    )
    block_dir: Path | None = Field(
        None, description="Folder in which processes of a host share what they fetched."
    )
    work_max_bytes: int = Field(
        2**34, gt=0, description="Most bytes of decoded audio of one run in transit at a time."
    )
    work_reserve_bytes: int = Field(
        2**28, ge=0, description="Bytes that stay free on the disk of audio in transit."
    )
    output_dir: str = Field("transcripts", description="Where transcripts go when no run says.")
    cluster: str = Field(
        "local",
        description="'local', or tcp://host:8786, ssh://user@host1,host2, "
        "kubernetes://namespace/name, gateway+https://host.",
    )
    workers: int | None = Field(
        None, ge=1, le=256, description="Workers to start with: one per GPU, or one on a CPU."
    )
    min_workers: int = Field(
        1, ge=1, le=1024, description="Fewest workers of a cluster that grows and shrinks."
    )
    max_workers: int | None = Field(
        None, ge=1, le=1024, description="Most workers; with it, their number follows the work."
    )
    slots_per_worker: int = Field(
        2, ge=1, le=64, description="Macro chunks in flight per worker, which fill its batches."
    )
    engine: str = Field(
        "faster_whisper",
        description="Speech engine: faster_whisper, remote, or a dotted 'package.module:factory'.",
    )
    engine_url: str | None = Field(
        None, description="Model service of the engine 'remote' (http://host:8000)."
    )
    engine_api_key: SecretStr | None = Field(
        None, description="Key for that service; each worker reads its own."
    )
    cpu_threads: int = Field(0, ge=0, le=256, description="Threads of the model; 0: its share.")
    features: Literal["auto", "numpy", "torch"] = Field(
        "auto", description="What computes log-mel features: 'auto' is torch on a GPU, else numpy."
    )
    segmentation_model: Path | None = Field(
        None, description="ONNX model that tells speakers apart (pyannote, from sherpa-onnx)."
    )
    embedding_model: Path | None = Field(
        None, description="ONNX model that knows voices again (from sherpa-onnx)."
    )
    ffmpeg: str | None = Field(None, description="The ffmpeg binary; else PATH, else the wheel's.")
    allow_private_hosts: bool = Field(
        False, description="Let sources lie on loopback and private addresses."
    )
    require_range: bool = Field(False, description="Refuse servers without byte ranges.")
    url_refresh: str | None = Field(
        None,
        description="Dotted 'package.module:function' that renews signed URLs in mid-job.",
    )
    max_bytes: int = Field(2**36, gt=0, description="Largest source, in bytes (64 GiB).")
    max_download_bytes: int = Field(
        2**33,
        gt=0,
        description="Largest source kept on disk for want of byte ranges, in bytes (8 GiB).",
    )
    max_duration_sec: float = Field(
        86_400.0,
        gt=0,
        allow_inf_nan=False,
        description="Longest recording, in seconds (a day).",
    )
    webhook_url: SecretStr | None = Field(
        None, description="Where the end of every run is told (https://...); may hold a token."
    )
    webhook_secret: SecretStr | None = Field(
        None, description="Key that signs it: whsec_ and base64; several separated by spaces."
    )
    webhook_allow_private_hosts: bool = Field(
        False, description="Let the webhook lie on a loopback or private address."
    )
    subflows: bool = Field(True, description="Show every macro chunk as a flow run of its own.")

    @property
    def is_adaptive(self) -> bool:
        """Whether the number of workers follows the work."""
        return self.max_workers is not None and self.max_workers > self.min_workers

    @property
    def chunk_store_url(self) -> str:
        """The chunk store that is in force."""
        return self.chunk_store or str(self.home.absolute() / "chunks")

    @property
    def work_store_url(self) -> str:
        """The work store that is in force."""
        return self.work_store or str(self.home.absolute() / "work")

    @property
    def block_dir_path(self) -> str:
        """The folder of shared blocks that is in force."""
        return str((self.block_dir or self.home / "blocks").absolute())

    def output_target(self, output_dir: str | None, *, deployed: bool) -> str:
        """Return where a run's files go.

        A deployed run works in a temporary folder that is removed after it, so there a
        relative path is taken from `home`.
        """
        target = output_dir or self.output_dir
        is_url = "://" in target
        return target if is_url or not deployed else str(self.home.absolute() / target)

    def to_environment(self) -> dict[str, str]:
        """Return the variables that give another process these settings.

        Secrets are left out: a child inherits them, another host has its own.
        """
        values = self.model_dump(mode="json", exclude_none=True, exclude=set(SECRETS))
        return {variable_name(name): str(value) for name, value in values.items()}


SECRETS = frozenset(
    name for name, field in Settings.model_fields.items() if field.annotation == SecretStr | None
)


def variable_name(setting: str) -> str:
    """Return the environment variable that a setting is read from."""
    return f"{ENV_PREFIX}{setting.upper()}"


def with_overrides(settings: Settings, **overrides: object) -> Settings:
    """Return the settings with those overrides that are not None.

    Raises:
        ParameterError: an override is out of bounds.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        return Settings.model_validate(settings.model_dump() | given)
    except ValidationError as error:
        first = error.errors()[0]
        raise ParameterError(
            f"{first['loc'][0]}: {first['msg']}, not {first['input']!r}"
        ) from error


def is_in_environment(setting: str) -> bool:
    """Tell whether an environment variable sets it; their case does not matter."""
    return variable_name(setting) in {name.upper() for name in os.environ}
