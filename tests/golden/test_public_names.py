"""Names that users, their scripts and their servers rely on, as literals: a rename shows here.

A name that goes or changes is a promise broken: keep the old one for a release, and write both
here. A new one is written beside the others.
"""

import dataclasses
import pkgutil
import re
from collections.abc import Callable, Iterable
from itertools import chain
from pathlib import Path

import pytest
import yaml
from prefect import Flow, Task
from pydantic import BaseModel

from deployments.automations import TAG as WATCHED_TAG
from deployments.blocks import BLOCK_PREFIX, GIVEN_PREFIX
from deployments.pools import POOLS
from deployments.variables import variables
from deployments.work_queues import QUEUES
from flows import macro_chunk, reprocess, transcribe, webhook
from flows.summary_artifact import TAG as RUN_TAG
from infra.secret_blocks import WEBHOOK_KEY, WEBHOOK_URL
from infra.settings_variable import VARIABLE
from longform import errors
from longform.errors import LongformError
from longform.params import (
    DiarizeParams,
    FallbackParams,
    SubtitleParams,
    TranscribeParams,
    VadParams,
)
from longform.pipeline.chunk_claims import DEATHS, ChunkClaims
from longform.runs.history import records_folder
from longform.serving.service_settings import ServiceSettings
from longform.settings import Settings, variable_name
from longform.speech.engines import BACKENDS
from longform.storage.cleanup import LEASE_FILE
from longform.transcript.formats import FORMATS
from longform.transcript.output import OutputSegment, OutputWord, Provenance, TranscribeOutput
from longform.transcript.segment import Interval
from tasks import stages
from tests.conftest import REPO_ROOT

HOME = Path("/home/of/longform")
DEPLOYMENTS = yaml.safe_load((REPO_ROOT / "prefect.yaml").read_text())["deployments"]
FLOW_MODULES = (transcribe, reprocess, macro_chunk, webhook)
DOCUMENTS = (
    *(REPO_ROOT / name for name in ("README.md", "CONTRIBUTING.md", "mkdocs.yml", "prefect.yaml")),
    *sorted((REPO_ROOT / "docs").rglob("*.md")),
)
TEXT = "\n".join(path.read_text() for path in DOCUMENTS)
PACKAGES = "longform|flows|tasks|infra|deployments|cli"


def prefect_names(kind: type, modules: Iterable[object]) -> set[str]:
    """Return the names under which Prefect shows the tasks or the flows of modules."""
    objects = chain.from_iterable(vars(module).values() for module in modules)
    return {each.name for each in objects if isinstance(each, kind)}  # type: ignore[attr-defined]


def artifact_keys() -> set[str]:
    """Return the keys under which flows keep artifacts, from the code that makes them."""
    code = "".join(path.read_text() for path in (REPO_ROOT / "flows").glob("*.py"))
    return set(re.findall(r'(?:\bkey=|Artifact\(\s*)"([a-z-]+)"', code))


def folders() -> set[str]:
    """Return the folders of LONGFORM_HOME that documents name, and what they hold for others."""
    settings = Settings(home=HOME)
    named = (settings.chunk_store_url, settings.work_store_url, settings.block_dir_path)
    return {
        *(str(Path(name).relative_to(HOME)) for name in (*named, records_folder(HOME))),
        f"chunks/{DEATHS}",
        LEASE_FILE,
    }


def error_classes() -> set[str]:
    """Return the names that reports, run states and `except` clauses of users show."""
    return {
        name
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, LongformError)
    }


def fields(model: type) -> Callable[[], Iterable[str]]:
    """Return what lists the fields of a model, as JSON and keyword arguments have them."""
    if issubclass(model, BaseModel):
        return lambda: model.model_fields
    return lambda: [field.name for field in dataclasses.fields(model)]


# What it is, how it is found in the code, and what it has to be.
GOLDEN: dict[str, tuple[Callable[[], Iterable[str]], str]] = {
    "settings": (
        lambda: map(variable_name, Settings.model_fields),
        """
        LONGFORM_ALLOW_PRIVATE_HOSTS LONGFORM_BLOCK_DIR LONGFORM_CHUNK_STORE LONGFORM_CLUSTER
        LONGFORM_CPU_THREADS LONGFORM_EMBEDDING_MODEL LONGFORM_ENGINE LONGFORM_ENGINE_API_KEY
        LONGFORM_ENGINE_URL LONGFORM_FEATURES LONGFORM_FFMPEG LONGFORM_HOME LONGFORM_MAX_BYTES
        LONGFORM_MAX_DOWNLOAD_BYTES LONGFORM_MAX_DURATION_SEC LONGFORM_MAX_WORKERS
        LONGFORM_MIN_WORKERS LONGFORM_OUTPUT_DIR LONGFORM_REQUIRE_RANGE
        LONGFORM_SEGMENTATION_MODEL LONGFORM_SLOTS_PER_WORKER LONGFORM_SUBFLOWS
        LONGFORM_URL_REFRESH LONGFORM_WEBHOOK_ALLOW_PRIVATE_HOSTS LONGFORM_WEBHOOK_SECRET
        LONGFORM_WEBHOOK_URL LONGFORM_WORKERS LONGFORM_WORK_MAX_BYTES LONGFORM_WORK_RESERVE_BYTES
        LONGFORM_WORK_STORE
        """,
    ),
    "service settings": (
        lambda: (
            f"{ServiceSettings.model_config['env_prefix']}{name.upper()}"
            for name in ServiceSettings.model_fields
        ),
        """
        LONGFORM_SERVICE_ALIASES LONGFORM_SERVICE_ALLOW_ANONYMOUS LONGFORM_SERVICE_API_KEY
        LONGFORM_SERVICE_BATCH_WAIT_MS LONGFORM_SERVICE_GRACE_SEC LONGFORM_SERVICE_HOST
        LONGFORM_SERVICE_MAX_DECODING LONGFORM_SERVICE_MAX_DURATION_SEC
        LONGFORM_SERVICE_MAX_REQUESTS LONGFORM_SERVICE_MAX_UPLOAD_MB
        LONGFORM_SERVICE_MIN_UPLOAD_BYTES_PER_SEC LONGFORM_SERVICE_PORT
        LONGFORM_SERVICE_REQUEST_TIMEOUT_SEC LONGFORM_SERVICE_UPLOAD_STALL_SEC
        """,
    ),
    "folders and files": (folders, "chunks chunks/deaths work blocks runs lease.json"),
    "engines": (lambda: BACKENDS, "faster_whisper remote"),
    "formats": (lambda: FORMATS, "json srt vtt txt tsv html diarized_json"),
    "flows": (
        lambda: prefect_names(Flow, FLOW_MODULES),
        "transcribe reprocess macro_chunk notify",
    ),
    "tasks": (
        lambda: prefect_names(Task, (stages, *FLOW_MODULES)),
        """
        attach choice diarize engine_choice failure find_split join macro_chunk probe replace
        report source source_check sources transcribe_chunk webhook write
        """,
    ),
    "tags": (
        lambda: chain([WATCHED_TAG, RUN_TAG], *(each["tags"] for each in DEPLOYMENTS)),
        "longform transcription gpu reprocess longform-internal",
    ),
    "artifacts": (
        artifact_keys,
        """
        transcription-progress transcription-summary transcription-timeline
        reprocess-progress reprocess-report dask-dashboard
        """,
    ),
    "deployments": (
        lambda: (f"{each['entrypoint'].rpartition('.')[2]}/{each['name']}" for each in DEPLOYMENTS),
        "transcribe/local transcribe/gpu reprocess/nightly notify/failure",
    ),
    "work pools": (lambda: POOLS, "longform-local longform-gpu"),
    "work queues": (lambda: (queue.name for queue in QUEUES), "nightly"),
    "variables": (
        lambda: [VARIABLE, *(each.name for each in variables(Settings()))],
        "longform_settings longform_timezone longform_nightly_pool longform_nightly_glob",
    ),
    "secrets": (
        lambda: (WEBHOOK_URL, WEBHOOK_KEY, BLOCK_PREFIX, GIVEN_PREFIX),
        "longform-webhook-url longform-webhook-key longform-env- LONGFORM_SECRET_",
    ),
    "errors": (
        error_classes,
        """
        AccessDeniedError AddressDeniedError AddressInvalidError ApiUnavailableError
        BatchFailedError CertificateInvalidError ChunkQuarantinedError ClusterLostError
        ConnectionCutError ContentChangedError DecodeInterruptedError EmptySourceError
        EncodedAnswerError EngineUnavailableError EnvironmentFaultError FileUnreadableError
        FolderError IncompleteTranscriptError InputError InvariantError LongformError
        MalformedAnswerError NameNotResolvedError NoAudioError NotMediaError NotRegularFileError
        OutputError ParameterError RangesUnsupportedError RangesWithdrawnError
        RedirectExpiredError RedirectLoopError RetryableError SchemeRefusedError
        ServerFailingError ServerNotAnsweringError ServerOverloadedError ServerUnreachableError
        ServiceRefusedError SourceChangedError SourceError SourceExpiredError SourceGoneError
        SourceMissingError SourceNotFoundError SourceRefusedError SourceReplacedError
        SourceResizedError SourceSilentError SourceStalledError SourceThrottledError
        SourceTooLargeError SourceTooSlowError SourceUnavailableError SourceUnreliableError
        TooManyRequestsError TruncatedMediaError UnknownModelError UnusableAnswerError
        WebhookRefusedError WebhookUnavailableError WeightsError WrongRangeError
        """,
    ),
    "TranscribeParams": (
        fields(TranscribeParams),
        """
        audio_stream batch_size beam_size channels chunking compute_type device diarize fallback
        hotwords initial_prompt language languages macro_chunk_overlap_sec macro_chunk_size_sec
        micro_chunk_size_sec model on_chunk_failure silence_detection_smoothing_num_samples
        split_search_sec subtitles task vad wav_sampling_rate_hz word_timestamps
        """,
    ),
    "VadParams": (
        fields(VadParams),
        "min_silence_duration_ms min_speech_duration_ms speech_pad_ms threshold",
    ),
    "FallbackParams": (
        fields(FallbackParams),
        "compression_ratio_threshold log_prob_threshold no_speech_threshold",
    ),
    "DiarizeParams": (
        fields(DiarizeParams),
        "enabled max_speakers min_speakers num_speakers threshold",
    ),
    "SubtitleParams": (
        fields(SubtitleParams),
        """
        highlight_words max_chars_per_sec max_cue_sec max_line_count max_line_width
        max_words_per_line min_cue_sec
        """,
    ),
    "TranscribeOutput": (
        fields(TranscribeOutput),
        """
        bcp47_key coverage damaged_sec files input_duration_sec language page
        processing_duration_sec provenance run_url segments speedup status task warnings
        """,
    ),
    "OutputSegment": (
        fields(OutputSegment),
        """
        avg_logprob bcp47_key channel compression_ratio decode_path end_time_sec flags id language
        language_probability macro_chunk micro_chunk no_speech_prob speaker start_time_sec
        temperature text tokens words
        """,
    ),
    "OutputWord": (fields(OutputWord), "end_time_sec probability speaker start_time_sec word"),
    "Interval": (fields(Interval), "channel detail end_sample kind start_sample"),
    "Provenance": (
        fields(Provenance),
        """
        access engine model model_sha256 parameters source_address source_fingerprint source_name
        versions
        """,
    ),
}

# Dotted names that servers have stored, and that the documents of a version gave.
PROMISED = (
    "flows.notify.notify",
    "flows.reprocess.reprocess",
    "flows.transcribe.transcribe",
    "longform.media.address_book.full_address",
    "longform.media.address_book.seal",
    "longform.Settings",
    "longform.TranscribeOutput",
    "longform.TranscribeParams",
    "longform.seal",
)
WRITTEN = re.findall(rf"\b(?:{PACKAGES})(?:\.[A-Za-z_]+)+\b", TEXT)
DOTTED = sorted({*(name for name in WRITTEN if not name.endswith(".md")), *PROMISED})


@pytest.mark.parametrize("what", GOLDEN)
def test_the_names_are_those_of_earlier_versions(what: str) -> None:
    """Nothing that users write down was renamed or has gone, and what is new is written here."""
    find, golden = GOLDEN[what]
    found, promised = set(find()), set(golden.split())
    assert found == promised, f"gone: {sorted(promised - found)}, new: {sorted(found - promised)}"


@pytest.mark.parametrize("name", DOTTED)
def test_a_dotted_name_can_be_imported(name: str) -> None:
    """What a document or a deployment calls by its dotted name is there."""
    pkgutil.resolve_name(name)


async def test_a_claim_lies_beside_its_chunk(tmp_path: Path) -> None:
    """Runs of another version that share the store look for claims under this name."""
    key = "ab" * 32
    async with ChunkClaims(str(tmp_path)).hold(key, "run", "worker") as is_ours:
        assert is_ours
        assert (tmp_path / "ab" / f"{key}.claim").is_file()
