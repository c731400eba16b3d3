"""From an upload to text, on the way that every recording takes: probe, decode, cut, transcribe.

An upload is one macro chunk. Its micro chunks share batches with those of all other requests.
"""

import asyncio
import time

from longform.errors import NotMediaError
from longform.media.gateway import gateway
from longform.media.model import Recording, Source
from longform.media.probe.probe import probe
from longform.media.sources.local_file import open_source
from longform.net.policy import SourcePolicy, shown_name
from longform.params import TranscribeParams
from longform.pipeline.chunk_job import MacroChunkJob, WholeAudio
from longform.pipeline.recording_run import RecordingRun
from longform.pipeline.transcribe_chunk import transcribe_macro_chunk
from longform.serving.service_settings import ServiceSettings
from longform.serving.upload import Upload
from longform.speech.batching import Batcher
from longform.speech.engine import EngineSpec
from longform.speech.remote.chunk_protocol import (
    MAX_CHUNK_BYTES,
    ChunkAnswer,
    ChunkMetadata,
    chunk_of,
    from_wav,
)
from longform.transcript.channels import ChannelChunks
from longform.transcript.output import TranscribeOutput

UNNAMED = "upload"


class Transcriber:
    """Transcribes uploads; a bounded number of them is decoded at the same time."""

    def __init__(self, settings: ServiceSettings, ffmpeg: str | None) -> None:
        self._policy = SourcePolicy(
            max_bytes=settings.max_upload_bytes, max_duration_sec=settings.max_duration_sec
        )
        self._ffmpeg = ffmpeg
        self._decoding = asyncio.Semaphore(settings.max_decoding)

    async def recording(
        self, upload: Upload, params: TranscribeParams, batcher: Batcher
    ) -> TranscribeOutput:
        """Transcribe a recording in any format that may be opened.

        Raises:
            SourceError, DecodeInterruptedError: it cannot be used.
            EngineUnavailableError: the engine failed.
        """
        async with self._decoding:
            started_sec = time.monotonic()
            recording = await self._open(upload)
            try:
                run = RecordingRun("", recording, params, EngineSpec(model=params.model), "")
                result = await transcribe_macro_chunk(_job(run), batcher, lambda _: None)
            finally:
                # The file is about to go: no other process will read it.
                gateway.forget(recording.source, recording.policy)
        return run.transcript([ChannelChunks(None, (result,))], (), time.monotonic() - started_sec)

    async def chunk(self, upload: Upload, note: ChunkMetadata, batcher: Batcher) -> ChunkAnswer:
        """Transcribe a micro chunk that its sender has cut.

        Raises:
            NotMediaError: it is none.
            EngineUnavailableError: the engine failed.
        """
        if upload.num_bytes > MAX_CHUNK_BYTES:
            raise NotMediaError("a micro chunk has at most 30 s of 16-bit mono at 16 kHz")
        chunk = chunk_of(note, from_wav(await asyncio.to_thread(upload.path.read_bytes)))
        with batcher.open_stream(note.options) as stream:
            result = await asyncio.wrap_future(stream.submit(chunk))
        return ChunkAnswer(result=result, votes=stream.languages.votes_at(chunk.span.start_sample))

    async def _open(self, upload: Upload) -> Recording:
        name = shown_name(upload.name) if upload.name else UNNAMED
        source = await _open_file(upload, name, self._policy)
        try:
            media = await probe(source, self._policy)
        except BaseException:
            gateway.forget(source, self._policy)
            raise
        return Recording(source=source, media=media, policy=self._policy, ffmpeg=self._ffmpeg)


async def _open_file(upload: Upload, name: str, policy: SourcePolicy) -> Source:
    if not upload.num_bytes:
        raise NotMediaError(f"{name} is empty")
    source = await open_source(str(upload.path), policy, upload.path.parent)
    # What is said of the upload goes to its sender, who knows it by the name it came with.
    return source.model_copy(update={"name": name, "shown": name})


def _job(run: RecordingRun) -> MacroChunkJob:
    return MacroChunkJob(
        key="",
        run_id=run.run_id,
        name=run.recording.source.name,
        index=0,
        start_sample=0,
        end_sample=run.recording.media.num_samples_estimate or 0,
        audio=WholeAudio(recording=run.recording),
        params=run.params,
        engine=run.engine,
        chunk_store_url=run.chunk_store_url,
    )
