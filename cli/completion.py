"""What the shell offers when a value is completed: quick, and without loading a model."""

from collections.abc import Callable, Iterable, Iterator
from typing import get_args

from longform.params import Channels, Chunking, Device, OnChunkFailure, Task

MODELS = (
    *("tiny", "base", "small", "medium", "large-v1", "large-v2", "large-v3", "large", "turbo"),
    *("tiny.en", "base.en", "small.en", "medium.en", "large-v3-turbo"),
    *("distil-small.en", "distil-medium.en", "distil-large-v2", "distil-large-v3"),
    "distil-large-v3.5",
)
Offer = tuple[str, str]


def choices(names: Iterable[str]) -> Callable[[str], list[str]]:
    """Return what offers some fixed names."""
    known = tuple(names)

    def offer(incomplete: str) -> list[str]:
        return _starting(known, incomplete)

    return offer


DEVICES = choices(get_args(Device))
TASKS = choices(get_args(Task))
CHANNELS = choices(get_args(Channels))
CHUNKINGS = choices(get_args(Chunking))
ON_CHUNK_FAILURES = choices(get_args(OnChunkFailure))
COMPUTE_TYPES = choices(
    (
        *("default", "auto", "int8", "int8_float32", "int8_float16", "int8_bfloat16"),
        *("int16", "float16", "bfloat16", "float32"),
    )
)


def models(incomplete: str) -> list[str]:
    """Offer names of models; a folder or a repository can be given as well."""
    return _starting(MODELS, incomplete)


def formats(incomplete: str) -> list[str]:
    """Offer formats; in a list the last one is completed."""
    from longform.transcript.formats import FORMATS

    before, comma, last = incomplete.rpartition(",")
    names = FORMATS if comma else [*FORMATS, "all"]
    return [f"{before}{comma}{name}" for name in _starting(names, last)]


def one_format(incomplete: str) -> list[str]:
    """Offer one format."""
    from longform.transcript.formats import FORMATS

    return _starting(FORMATS, incomplete)


def languages(incomplete: str) -> list[Offer]:
    """Offer codes of languages with their names."""
    from longform.transcript.languages import ENGLISH_NAMES

    return [(code, name) for code, name in ENGLISH_NAMES.items() if code.startswith(incomplete)]


def language_list(incomplete: str) -> list[Offer]:
    """Offer the next language of a list."""
    before, comma, last = incomplete.rpartition(",")
    return [(f"{before}{comma}{code}", name) for code, name in languages(last)]


def engines(incomplete: str) -> list[str]:
    """Offer the engines that come with longform."""
    from longform.speech.engines import BACKENDS

    return _starting(BACKENDS, incomplete)


def run_states(incomplete: str) -> list[str]:
    """Offer the states that a run can be in."""
    from longform.runs.history import RunState

    return _starting(get_args(RunState), incomplete)


def run_ids(incomplete: str) -> list[Offer]:
    """Offer recent runs of this machine, with their recordings."""
    return [run for run in _runs() if run[0].startswith(incomplete)]


def _runs() -> Iterator[Offer]:
    from longform.runs.history import read_records
    from longform.settings import Settings

    yield "last", "the newest run with files"
    for record in read_records(Settings().home):
        if record.files:
            yield record.run_id[:8], record.source_name


def _starting(names: Iterable[str], incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]
