"""Stage `diarize`: who speaks when in a whole recording, found once and kept."""

import asyncio
import tempfile
from contextlib import aclosing
from hashlib import sha256
from pathlib import Path

from longform.audio import PCM_BYTES_PER_SAMPLE
from longform.media.decode.extract import extract_all
from longform.media.model import Recording
from longform.params import DiarizeParams
from longform.settings import Settings
from longform.speakers.turns import Diarizer, SpeakerTurns, labelled
from longform.storage.records import RecordStore

SPEAKERS_VERSION = 1  # raise when the same recording and models would give other turns


def load_diarizer(settings: Settings) -> Diarizer:
    """Return the diarizer of this machine, its models checked; they are not loaded yet.

    Raises:
        EnvironmentFaultError: its package is not installed, or no models are named.
        WeightsError: a model is missing, or not one that it can use.
    """
    from longform.speakers.sherpa import SherpaDiarizer

    return SherpaDiarizer.from_settings(settings)


def speakers_key(recording: Recording, params: DiarizeParams, identity: str) -> str:
    """Return the cache key of a recording's turns."""
    parts = (
        SPEAKERS_VERSION,
        recording.source.fingerprint,
        recording.media.audio_stream,
        params.model_dump_json(),
        identity,
    )
    return sha256(repr(parts).encode()).hexdigest()


async def find_speakers(
    recording: Recording,
    params: DiarizeParams,
    diarizer: Diarizer,
    store_url: str,
    scratch_dir: Path,
    *,
    use_cache: bool = True,
) -> SpeakerTurns:
    """Return the turns of a recording, from the cache where an earlier run has left them.

    Speakers are told apart over the whole recording at once: per chunk, the same voice would
    get another label in each. So the audio is decoded to a file first, 115 MB for an hour.

    Args:
        recording: whose turns are wanted.
        params: how many speakers there are, as far as that is known.
        diarizer: what finds the turns.
        store_url: the chunk store, beside whose results turns are kept.
        scratch_dir: a folder of this host, for the audio.
        use_cache: take turns that an earlier run has left.

    Raises:
        RetryableError: the source, the decoder or the diarizer failed.
        SourceError: the recording cannot be decoded.
    """
    store = RecordStore(f"{store_url.rstrip('/')}/speakers", SpeakerTurns, "SpeakerTurns")
    key = speakers_key(recording, params, diarizer.identity)
    if use_cache and (kept := await asyncio.to_thread(store.get, key)) is not None:
        return kept
    with tempfile.TemporaryDirectory(prefix="speakers-", dir=scratch_dir) as folder:
        audio = Path(folder) / "audio.s16"
        num_samples = await _spool(recording, audio)
        turns = labelled(await diarizer.diarize(audio, num_samples, params))
    await asyncio.to_thread(store.put, key, turns)
    return turns


async def _spool(recording: Recording, path: Path) -> int:
    with path.open("wb") as file:
        async with aclosing(extract_all(recording)) as blocks:
            async for block in blocks:
                await asyncio.to_thread(file.write, block.astype("<i2", copy=False).tobytes())
        return file.tell() // PCM_BYTES_PER_SAMPLE
