"""`TranscribeParams`: the public parameters of a transcription, with bounds and units."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.fields import FieldInfo

from longform.errors import ParameterError

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

Chunking = Literal["vad", "silence"]
Device = Literal["auto", "cpu", "cuda"]
Task = Literal["transcribe", "translate"]
Channels = Literal["mix", "split"]
OnChunkFailure = Literal["fail", "partial"]
LanguageCode = Annotated[str, Field(pattern=r"^[a-z]{2,3}$")]


class FrozenModel(BaseModel):
    """Base of every parameter and result model: immutable, and no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class VadParams(FrozenModel):
    """Voice activity detection (Silero VAD); names as in faster-whisper."""

    threshold: float = Field(
        0.5,
        ge=0.05,
        le=0.95,
        description="Speech probability above which a frame counts as speech (0.05-0.95).",
    )
    min_speech_duration_ms: int = Field(
        0,
        ge=0,
        le=5_000,
        description="Shorter bursts of speech are dropped, in milliseconds (0-5000).",
    )
    min_silence_duration_ms: int = Field(
        160,
        ge=32,
        le=5_000,
        description="A pause at least this long separates two stretches of speech, in milliseconds (32-5000).",
    )
    speech_pad_ms: int = Field(
        2_000,
        ge=0,
        le=5_000,
        description="Audio kept on both sides of speech, in milliseconds (0-5000). Whisper reads windows of 30 s whatever they hold, and hears the first and last words better in their surroundings.",
    )


class FallbackParams(FrozenModel):
    """When a decoded micro chunk is rejected and decoded again; names as in faster-whisper."""

    compression_ratio_threshold: float = Field(
        2.4,
        ge=1.0,
        le=10.0,
        description="Text that compresses better than this (gzip ratio, 1-10) is taken for a repetition loop.",
    )
    log_prob_threshold: float = Field(
        -1.0,
        ge=-10.0,
        le=0.0,
        description="Mean log probability per token below which a result is rejected (-10-0).",
    )
    no_speech_threshold: float = Field(
        0.6,
        ge=0.0,
        le=1.0,
        description="Probability of 'no speech' above which a rejected result is silence (0-1).",
    )


class DiarizeParams(FrozenModel):
    """Who speaks when; the models are named in the settings of the machine."""

    enabled: bool = Field(False, description="Tell speakers apart and label their words.")
    num_speakers: int | None = Field(
        None, ge=1, le=100, description="How many speakers there are (1-100). Empty: found out."
    )
    min_speakers: int | None = Field(
        None, ge=1, le=100, description="At least so many speakers (1-100)."
    )
    max_speakers: int | None = Field(
        None, ge=1, le=100, description="At most so many speakers (1-100)."
    )
    threshold: float = Field(
        0.5,
        ge=0.0,
        le=2.0,
        description="Voices nearer than this are one speaker (cosine distance, 0-2); larger values give fewer speakers.",
    )

    @model_validator(mode="after")
    def _numbers_agree(self) -> Self:
        if self.num_speakers and (self.min_speakers or self.max_speakers):
            raise ValueError("num_speakers leaves no choice: give it, or min_ and max_speakers")
        if self.min_speakers and self.max_speakers and self.min_speakers > self.max_speakers:
            raise ValueError("min_speakers must not be more than max_speakers")
        return self


class SubtitleParams(FrozenModel):
    """How text is laid out in SRT and VTT; names as in openai-whisper where it has one."""

    max_line_width: int = Field(
        42,
        ge=10,
        le=1_000,
        description="Characters in a line (10-1000); Chinese, Japanese and Korean ones count twice.",
    )
    max_line_count: int = Field(2, ge=1, le=10, description="Lines in a subtitle (1-10).")
    max_words_per_line: int | None = Field(
        None,
        ge=1,
        le=1_000,
        description="Words in a subtitle (1-1000). Empty: as many as fit its lines.",
    )
    highlight_words: bool = Field(
        False, description="Underline each word while it is spoken; needs word_timestamps."
    )
    max_cue_sec: float = Field(
        7.0, ge=2.0, le=60.0, description="A subtitle stands at most this long, in seconds (2-60)."
    )
    min_cue_sec: float = Field(
        0.8,
        ge=0.0,
        le=2.0,
        description="A subtitle stands at least this long where the next one leaves it the time, in seconds (0-2).",
    )
    max_chars_per_sec: float = Field(
        20.0,
        ge=5.0,
        le=100.0,
        description="Reading speed: a subtitle stands longer than it is spoken, where there is time, until it can be read at this many characters per second (5-100).",
    )


class TranscribeParams(FrozenModel):
    """What to transcribe and how. Every default is right on its own."""

    wav_sampling_rate_hz: Literal[16000] = Field(
        16000,
        description="Sampling rate of the decoded audio, in Hz. 16000 is the only value: a constant of Whisper.",
    )
    macro_chunk_size_sec: float = Field(
        300.0,
        ge=10.0,
        le=3_600.0,
        description="Nominal length of a macro chunk, in seconds (10-3600). Each macro chunk is one task on the cluster.",
    )
    macro_chunk_overlap_sec: float = Field(
        0.0,
        ge=0.0,
        le=10.0,
        description="Guard decoded on both sides of a macro boundary where no silence was found, in seconds (0-10).",
    )
    micro_chunk_size_sec: float = Field(
        30.0,
        ge=5.0,
        le=30.0,
        description="Longest micro chunk, in seconds (5-30). Whisper reads windows of 30 s.",
    )
    silence_detection_smoothing_num_samples: int = Field(
        1_600,
        ge=16,
        le=16_000,
        description="Width of the box filter over the absolute waveform that finds the quietest point, in samples at 16 kHz (16-16000).",
    )
    split_search_sec: float = Field(
        5.0,
        ge=0.0,
        le=60.0,
        description="A macro boundary is looked for this far on both sides of its nominal place, in seconds (0-60).",
    )
    chunking: Chunking = Field(
        "vad",
        description="How macro chunks are cut: 'vad' packs detected speech and drops the rest; 'silence' cuts at the quietest point and keeps everything.",
    )
    model: str = Field(
        "base",
        min_length=1,
        max_length=1_000,
        description="Whisper model: a name as in faster-whisper ('base', 'large-v3', 'turbo'), a hub repository, or the path of a CTranslate2 model folder.",
    )
    device: Device = Field(
        "auto", description="Where the model runs: 'auto' takes a CUDA GPU when the worker has one."
    )
    compute_type: str = Field(
        "default",
        pattern=r"^(default|auto|int8|int8_float32|int8_float16|int8_bfloat16|int16|float16|bfloat16|float32)$",
        description="Number type of the model's arithmetic (CTranslate2 names); 'default' is float16 on a GPU and float32 on a CPU.",
    )
    batch_size: int = Field(
        8,
        ge=1,
        le=256,
        description="Micro chunks decoded together (1-256), filled across the macro chunks of a worker.",
    )
    beam_size: int = Field(
        5, ge=1, le=20, description="Width of the beam search (1-20); 1 is greedy."
    )
    language: str | None = Field(
        None,
        pattern=r"^[a-z]{2,3}$",
        description="Spoken language as a code ('en', 'de', 'yue'). Empty: detected.",
    )
    languages: tuple[LanguageCode, ...] = Field(
        (),
        max_length=20,
        description="Languages that may be spoken, as codes (such as 'en', 'fr'), to detect only among these. Empty: any.",
    )
    task: Task = Field(
        "transcribe",
        description="'transcribe' keeps the language, 'translate' puts it into English.",
    )
    word_timestamps: bool = Field(True, description="Give every word its own start and end time.")
    initial_prompt: str | None = Field(
        None,
        max_length=2_000,
        description="Text that tells the model names and style before it starts.",
    )
    hotwords: str | None = Field(
        None, max_length=2_000, description="Words and phrases that are likely to occur."
    )
    audio_stream: int | None = Field(
        None,
        ge=0,
        le=999,
        description="Which audio stream of the recording, counted from 0. Empty: the default one, else the first.",
    )
    channels: Channels = Field(
        "mix",
        description="'mix' folds all audio channels into one; where they would cancel each other out, one channel is taken. 'split' transcribes each channel on its own, as of a call with a party on each side, and merges them by time.",
    )
    on_chunk_failure: OnChunkFailure = Field(
        "fail",
        description="When a chunk fails for good: 'fail' ends the run as failed, 'partial' as completed. Both write what was transcribed and name what is missing.",
    )
    vad: VadParams = Field(default_factory=VadParams, description="Voice activity detection.")
    fallback: FallbackParams = Field(
        default_factory=FallbackParams, description="When a result is rejected and decoded again."
    )
    diarize: DiarizeParams = Field(
        default_factory=DiarizeParams, description="Who speaks when (off by default)."
    )
    subtitles: SubtitleParams = Field(
        default_factory=SubtitleParams, description="How SRT and VTT are laid out."
    )

    @model_validator(mode="after")
    def _search_windows_stay_apart(self) -> Self:
        # Two boundaries must never compete for one sample, or the spans would not be ordered.
        if 2 * self.split_search_sec >= self.macro_chunk_size_sec:
            raise ValueError("split_search_sec must be less than half of macro_chunk_size_sec")
        return self

    @model_validator(mode="after")
    def _voices_are_told_apart_once(self) -> Self:
        if self.diarize.enabled and self.channels == "split":
            raise ValueError("channels=split tells voices apart already: leave diarize out")
        return self

    @model_validator(mode="after")
    def _highlights_have_times(self) -> Self:
        if self.subtitles.highlight_words and not self.word_timestamps:
            raise ValueError("subtitles.highlight_words needs word_timestamps")
        return self


def parse_params(values: Mapping[str, Any]) -> TranscribeParams:
    """Build parameters from loose values, as a command line or a file gives them.

    Raises:
        ParameterError: one line that names each field at fault and its bounds.
    """
    try:
        return TranscribeParams.model_validate(values)
    except ValidationError as error:
        raise ParameterError("; ".join(map(_complaint, error.errors()))) from error


def _complaint(error: "ErrorDetails") -> str:
    place = ".".join(str(part) for part in error["loc"])
    reason = error["msg"].removeprefix("Value error, ")
    field = _field(error["loc"])
    about = f" ({field.description})" if field and field.description else ""
    return f"{place}: {reason}, not {error['input']!r}{about}" if place else reason


def _field(path: tuple[int | str, ...]) -> FieldInfo | None:
    model: type[BaseModel] = TranscribeParams
    field = None
    for name in path:
        field = model.model_fields.get(str(name))
        if field is None:
            return None
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            model = field.annotation
    return field
