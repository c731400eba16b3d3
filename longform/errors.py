"""Every error longform raises on purpose, split by what the caller does about it.

LongformError
├── RetryableError              wait a little and try again
│   ├── SourceUnavailableError      connection refused or cut, 5xx, name not resolved
│   ├── SourceThrottledError        429, or 503 with Retry-After
│   ├── SourceStalledError          no bytes, or too few, for too long
│   ├── DecodeInterruptedError      the decoder ended before its input did
│   └── EngineUnavailableError      the speech engine failed on this attempt
├── InputError                  fix the input, the parameters or the machine
│   ├── SourceError                 the recording cannot be used as it is
│   │   ├── SourceRefusedError          address policy, 401/403, forbidden scheme
│   │   ├── SourceExpiredError          a signed link ran out, or its signature was not kept
│   │   ├── SourceNotFoundError         no such file, 404, 410
│   │   ├── SourceChangedError          the bytes changed while they were read
│   │   ├── SourceTooLargeError         over the limit of bytes or of duration
│   │   ├── RangesUnsupportedError      `require_range` is set and the server has none
│   │   ├── NotMediaError               empty, text, or in no format ffmpeg knows
│   │   ├── NoAudioError                media without an audio stream
│   │   └── TruncatedMediaError         less audio than the container promises
│   ├── ParameterError              a parameter is out of bounds or contradicts another
│   │   └── UnknownModelError           no such model name, path or repository
│   ├── OutputError                 the transcript cannot be written where it should go
│   ├── WeightsError                weights are missing, damaged or not the ones pinned
│   └── EnvironmentFaultError       ffmpeg, cluster resources or server are missing
├── IncompleteTranscriptError   some chunks failed for good; the rest is written
└── InvariantError              a law of ours was broken: report a bug
"""


class LongformError(Exception):
    """Base of the tree; `str()` is one line for people, and says what to do."""


class RetryableError(LongformError):
    """The same call may succeed a little later."""


class SourceUnavailableError(RetryableError):
    """The source cannot be reached just now."""


class SourceThrottledError(RetryableError):
    """The source asks for fewer requests; `retry_after_sec` is how long it asks to wait."""

    retry_after_sec: float | None = None


class SourceStalledError(RetryableError):
    """The source stopped sending, or sends too slowly."""


class DecodeInterruptedError(RetryableError):
    """ffmpeg ended before every byte it asked for was delivered and decoded."""


class EngineUnavailableError(RetryableError):
    """The speech engine failed in a way that another attempt may not."""


class InputError(LongformError):
    """The same call will fail again until somebody changes something."""


class SourceError(InputError):
    """The recording cannot be used as it is."""


class SourceRefusedError(SourceError):
    """Access is denied, by our own address policy or by the server."""


class SourceExpiredError(SourceError):
    """A signed link is no longer valid, or its signature is not known to this process."""


class SourceNotFoundError(SourceError):
    """There is nothing at that address."""


class SourceChangedError(SourceError):
    """The source is no longer the one whose reading began."""


class SourceTooLargeError(SourceError):
    """The source exceeds the limit of bytes or of duration."""


class RangesUnsupportedError(SourceError):
    """Byte ranges were required and the server does not serve them."""


class NotMediaError(SourceError):
    """The bytes are not a recording in any format that may be opened."""


class NoAudioError(SourceError):
    """The media has no audio stream, or not the one asked for."""


class TruncatedMediaError(SourceError):
    """The recording ends before the place that its container promises."""


class ParameterError(InputError):
    """A parameter is out of bounds; the message names the field and the bounds."""


class UnknownModelError(ParameterError):
    """No model of that name can be found."""


class OutputError(InputError):
    """The transcript cannot be written to the place that was given."""


class WeightsError(InputError):
    """Model weights are missing, damaged, or not the ones that were pinned."""


class EnvironmentFaultError(InputError):
    """Something that longform needs is missing on this machine or cluster."""


class IncompleteTranscriptError(LongformError):
    """Some chunks failed for good; what could be transcribed has been written.

    `output` is the `TranscribeOutput` with what there is.
    """

    def __init__(self, message: str, output: object = None) -> None:
        super().__init__(message)
        self.output = output


class InvariantError(LongformError):
    """A law that the code relies on does not hold: this is a bug in longform."""
