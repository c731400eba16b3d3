"""Chunk results of earlier runs, and the keys under which they are found."""

import json
from hashlib import sha256

from longform.audio import Span
from longform.params import TranscribeParams
from longform.storage.records import RecordStore
from longform.transcript.segment import ChunkResult

# Raise when the same recording and parameters would give another text, or when a record's
# model changes its meaning: older records are then never asked for.
RECORD_VERSION = 2

# Parameters that say how a transcript is computed, and change nothing of what is written.
WITHOUT_EFFECT = frozenset(
    {
        "device",  # the number type that it computes in is in the key
        "batch_size",
        "on_chunk_failure",
        "model",  # its sha256 is in the key
    }
)
# Parameters that cannot change the text of a chunk, given its span. Every other one is part
# of the key, so that a parameter which is added later is in it from the start.
WITHOUT_EFFECT_ON_TEXT = WITHOUT_EFFECT | frozenset(
    {
        "macro_chunk_size_sec",
        "macro_chunk_overlap_sec",  # the guards that it gave are in the key
        "split_search_sec",
        "subtitles",
        "diarize",
        "channels",  # the channel that is read is in the key
        "compute_type",  # the one that it resolves to is in the key
        "audio_stream",  # the one that was chosen is in the key
    }
)


def chunk_key(
    *,
    fingerprint: str,
    audio_stream: int,
    channel: int | None,
    span: Span,
    open_ended: bool,
    guards: tuple[int, int],
    params: TranscribeParams,
    model_sha256: str | None,
    engine_identity: str,
    compute_type: str,
) -> str:
    """Return the key of a chunk's result, sha256 in hex: all that decides on it, nothing else.

    The address of the recording is no part of it: signed URLs change. Nor is the device: what
    decides on the text is the number type that the model computes in there (`compute_type`).
    """
    decisive = params.model_dump(mode="json", exclude=set(WITHOUT_EFFECT_ON_TEXT))
    # As every earlier version wrote it, so that what a CPU has computed by default is still found.
    decisive["device"] = "auto"
    decisive["compute_type"] = "default" if compute_type == "float32" else compute_type
    identity = {
        "version": RECORD_VERSION,
        "fingerprint": fingerprint,
        "audio_stream": audio_stream,
        "channel": channel,
        "span": [span.start_sample, span.end_sample, open_ended, *guards],
        "params": decisive,
        "model": model_sha256 or params.model,
        "engine": engine_identity,
    }
    return sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()


class ChunkStore:
    """Results of macro chunks; the root is a folder or an fsspec URL."""

    def __init__(self, root: str) -> None:
        self._records = RecordStore(root, ChunkResult, "ChunkResult")

    def get(self, key: str) -> ChunkResult | None:
        """Return the result that was stored under `key`, if it is sound."""
        result = self._records.get(key)
        return result if result is not None and result.key == key else None

    def put(self, result: ChunkResult) -> None:
        """Store a result under its own key.

        Raises:
            OutputError: the store cannot be written.
        """
        self._records.put(result.key, result)
