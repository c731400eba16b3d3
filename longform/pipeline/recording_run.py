"""A recording in a run: what was asked for and found out, and the jobs and cache keys of it."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version

from longform import __version__
from longform.errors import NotMediaError
from longform.media.decode.extract import split_channels
from longform.media.model import Recording
from longform.params import TranscribeParams
from longform.pipeline.chunk_cache import ChunkStore, chunk_key
from longform.pipeline.chunk_job import AudioSource, MacroChunkJob, SpooledAudio, WindowAudio
from longform.pipeline.planning import Plan, PlannedChunk
from longform.speakers.assign import assign_speakers
from longform.speakers.turns import Turn
from longform.speech.engine import EngineSpec
from longform.speech.engine_choice import compute_types_of
from longform.speech.engines import spec_identity
from longform.storage.records import RecordStore
from longform.transcript.channels import ChannelChunks, join_channels
from longform.transcript.output import Provenance, TranscribeOutput, to_output
from longform.transcript.page_material import NO_MEDIA, PageMedia, page_material
from longform.transcript.segment import ChunkResult, Segment

# What else decides on a transcript: these decode the audio and find the speech in it.
VERSIONS = ("faster-whisper", "ctranslate2", "onnxruntime", "av")


@dataclass(frozen=True, slots=True)
class RecordingRun:
    """A run of one recording, once it has been opened, probed and given an engine."""

    run_id: str
    recording: Recording
    params: TranscribeParams
    engine: EngineSpec
    chunk_store_url: str
    channel: int | None = None  # the one that `recording` reads, from 1; None: the mix
    execution: str = field(default_factory=lambda: secrets.token_hex(8))  # this try of the run
    use_cache: bool = True
    order: int = 0  # of the recordings on one cluster lower ones come first: samples, the shortest

    def by_channel(self) -> "tuple[RecordingRun, ...]":
        """Return the runs of the channels, where those are asked for and there are several.

        Raises:
            ParameterError: more channels than are transcribed apart.
        """
        if self.params.channels == "mix" or len(split := split_channels(self.recording)) < 2:
            return (self,)
        return tuple(
            replace(self, recording=recording, channel=number)
            for number, recording in enumerate(split, 1)
        )

    def keys(self, chunk: PlannedChunk) -> dict[str, str]:
        """Return the content key of a chunk's result by number type, the likeliest first."""
        return {name: self._key(chunk, name) for name in compute_types_of(self.engine)}

    def key(self, chunk: PlannedChunk) -> str:
        """Return the content key of a chunk's result; the address is no part of it."""
        return self._key(chunk, compute_types_of(self.engine)[0])

    def _key(self, chunk: PlannedChunk, compute_type: str) -> str:
        return chunk_key(
            fingerprint=self.recording.source.fingerprint,
            audio_stream=self.recording.media.audio_stream,
            channel=self.recording.media.channel,
            span=chunk.span,
            open_ended=chunk.open_ended,
            guards=(chunk.guard_before_samples, chunk.guard_after_samples),
            params=self.params,
            model_sha256=self.engine.model_sha256,
            engine_identity=spec_identity(self.engine),
            compute_type=compute_type,
        )

    def job(self, chunk: PlannedChunk) -> MacroChunkJob:
        """Return the job that transcribes a chunk."""
        keys = self.keys(chunk)
        return MacroChunkJob(
            key=next(iter(keys.values())),
            key_by_compute_type=keys,
            run_id=self.run_id,
            execution=self.execution,
            use_cache=self.use_cache,
            name=self.recording.source.name,
            index=chunk.index,
            channel=self.channel,
            start_sample=chunk.start_sample,
            end_sample=chunk.end_sample,
            guard_before_samples=chunk.guard_before_samples,
            guard_after_samples=chunk.guard_after_samples,
            audio=self._audio(chunk),
            params=self.params,
            engine=self.engine,
            chunk_store_url=self.chunk_store_url,
        )

    def _audio(self, chunk: PlannedChunk) -> AudioSource:
        if chunk.audio is not None:
            return SpooledAudio(file=chunk.audio, damaged=chunk.damaged)
        return WindowAudio(recording=self.recording, open_ended=chunk.open_ended)

    def transcript(
        self,
        channels: Sequence[ChannelChunks],
        turns: Sequence[Turn],
        processing_duration_sec: float,
        media: PageMedia = NO_MEDIA,
    ) -> TranscribeOutput:
        """Join what the chunks gave into one transcript on one timeline.

        Args:
            channels: what became of the macro chunks, by channel.
            turns: who speaks when, where that was asked for.
            processing_duration_sec: what all of it took.
        """
        joined = join_channels(channels)
        if joined.coverage and all(part.kind == "damaged" for part in joined.coverage):
            reason = joined.coverage[0].detail
            raise NotMediaError(
                f"{self.recording.source.name} holds no audio that can be decoded: {reason}"
            )
        spoken = assign_speakers(joined.segments, turns) if turns else joined.segments
        return to_output(
            segments=tuple(map(self._as_asked, spoken)),
            coverage=joined.coverage,
            num_samples=joined.num_samples,
            processing_duration_sec=processing_duration_sec,
            task=self.params.task,
            provenance=self.provenance(),
            warnings=self._warnings() + memory_notes(channels),
            # The page shows the sound of one channel: the first stands for all.
            page=page_material(channels[0].results, media),
        )

    def _warnings(self) -> tuple[str, ...]:
        source, media = self.recording.source, self.recording.media
        mono = self.params.channels == "split" and media.channels < 2
        note = f"{source.name} has one channel: there is nothing to split"
        return source.warnings + media.warnings + ((note,) if mono else ())

    def _as_asked(self, segment: Segment) -> Segment:
        # Beside a guarded boundary words are timed even where that was not asked for.
        return segment if self.params.word_timestamps else segment.model_copy(update={"words": ()})

    def provenance(self) -> Provenance:
        """Return what the transcript is made from and with."""
        source = self.recording.source
        return Provenance(
            source_name=source.name,
            source_fingerprint=source.fingerprint,
            source_address=source.shown,
            parameters=self.params,
            model=self.engine.model,
            model_sha256=self.engine.model_sha256,
            engine=spec_identity(self.engine),
            versions={"longform": __version__} | {name: version(name) for name in VERSIONS},
            access=self.recording.media.access,
        )

    def cached(self, plan: Plan, store: ChunkStore) -> dict[int, ChunkResult]:
        """Return the results that earlier runs have left, by chunk index."""
        found = ((chunk.index, store.get(self.key(chunk))) for chunk in plan.chunks)
        return {index: result for index, result in found if result is not None}


def memory_notes(channels: Sequence[ChannelChunks]) -> tuple[str, ...]:
    """Return where engines ran short of memory, each note once: a warning for their operator."""
    notes = (one.stats.memory_note for channel in channels for one in channel.results)
    return tuple(dict.fromkeys(note for note in notes if note))


def plan_store(store_url: str) -> RecordStore[Plan]:
    """Return the store of plans that lies beside the chunk results."""
    return RecordStore(f"{store_url.rstrip('/')}/plans", Plan, "Plan")
