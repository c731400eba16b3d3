"""Every error longform raises on purpose, split by what the caller does about it.

`RetryableError`: wait a little and try again. `InputError`: fix the input, the parameters or the
machine. `InvariantError`: report a bug. What each leaf says, its cause and its remedy are in
docs/failures.md.
"""


class LongformError(Exception):
    """Base of the tree; `str()` is one line for people, and says what to do."""


class RetryableError(LongformError):
    """The same call may succeed a little later."""


class SourceUnavailableError(RetryableError):
    """The source cannot be reached just now."""


class NameNotResolvedError(SourceUnavailableError):
    """The name of the server has no address just now."""


class ServerUnreachableError(SourceUnavailableError):
    """The connection was refused, or there is no way to the server."""


class ServerNotAnsweringError(SourceUnavailableError):
    """The server did not answer the attempt to connect in time."""


class ConnectionCutError(SourceUnavailableError):
    """The connection ended in the middle of an answer."""


class MalformedAnswerError(SourceUnavailableError):
    """The answer breaks the rules of HTTP."""


class ServerFailingError(SourceUnavailableError):
    """The server answers that it failed."""


class WrongRangeError(SourceUnavailableError):
    """The answer holds other bytes than were asked for, or does not say which."""


class RangesWithdrawnError(SourceUnavailableError):
    """The server sends the whole file, though it served byte ranges before."""


class EncodedAnswerError(SourceUnavailableError):
    """The answer is compressed, so that its byte offsets mean nothing."""


class RedirectExpiredError(SourceUnavailableError):
    """The place that a redirect led to refuses now; the next try asks anew."""


class FileUnreadableError(SourceUnavailableError):
    """The disk or the share below a file failed."""


class SourceThrottledError(RetryableError):
    """The source asks for fewer requests; `retry_after_sec` is how long it asks to wait."""

    retry_after_sec: float | None = None


class TooManyRequestsError(SourceThrottledError):
    """The server counts our requests and has had enough of them (429)."""


class ServerOverloadedError(SourceThrottledError):
    """The server is overloaded (503)."""


class SourceStalledError(RetryableError):
    """The source stopped sending, or sends too slowly."""


class SourceSilentError(SourceStalledError):
    """Not one byte came for as long as the policy waits."""


class SourceTooSlowError(SourceStalledError):
    """Bytes came, but fewer per second than the policy asks for."""


class SourceUnreliableError(SourceStalledError):
    """Failing tries have cost more time than the policy and the bytes allow."""


class WebhookUnavailableError(RetryableError):
    """The receiver of a webhook answers that it failed."""


class DecodeInterruptedError(RetryableError):
    """ffmpeg ended before every byte it asked for was delivered and decoded."""


class EngineUnavailableError(RetryableError):
    """The speech engine failed in a way that another attempt may not."""


class ApiUnavailableError(RetryableError):
    """The Prefect API answered a worker with 5xx, however often it was asked."""


class ClusterLostError(RetryableError):
    """The Dask cluster went away in the middle of a run."""


class InputError(LongformError):
    """The same call will fail again until the user changes something."""


class SourceError(InputError):
    """The recording cannot be used as it is."""


class SourceRefusedError(SourceError):
    """Access is denied, by our own address policy or by the server."""


class AddressInvalidError(SourceRefusedError):
    """What was given as an address is none."""


class AddressDeniedError(SourceRefusedError):
    """The address policy does not allow this address."""


class SchemeRefusedError(SourceRefusedError):
    """Nothing opens that kind of address, or a redirect led to one."""


class RedirectLoopError(SourceRefusedError):
    """One redirect led to another, and so on."""


class CertificateInvalidError(SourceRefusedError):
    """The TLS certificate does not prove that it is the server named."""


class AccessDeniedError(SourceRefusedError):
    """The server, the store or the file system lets us read nothing."""


class UnusableAnswerError(SourceRefusedError):
    """The server answers with a status that holds no recording."""


class NotRegularFileError(SourceRefusedError):
    """The path leads to something that is not a file."""


class SourceExpiredError(SourceError):
    """A signed link is no longer valid, or its signature is not known to this process."""


class SourceNotFoundError(SourceError):
    """There is nothing at that address."""


class SourceMissingError(SourceNotFoundError):
    """There is no such file, object or page."""


class SourceGoneError(SourceNotFoundError):
    """The server says that it was there and will not come back (410)."""


class SourceChangedError(SourceError):
    """The source is no longer the one whose reading began."""


class SourceReplacedError(SourceChangedError):
    """The ETag, the date or the file is another one than at the start."""


class SourceResizedError(SourceChangedError):
    """The length is another one than at the start."""


class ContentChangedError(SourceChangedError):
    """Bytes that were read twice differ, whatever the server says."""


class SourceTooLargeError(SourceError):
    """The source exceeds the limit of bytes or of duration."""


class RangesUnsupportedError(SourceError):
    """Byte ranges were required and the server does not serve them."""


class NotMediaError(SourceError):
    """The bytes are not a recording in any format that may be opened."""


class EmptySourceError(NotMediaError):
    """There is not one byte in it."""


class FolderError(NotMediaError):
    """It is a folder."""


class NoAudioError(SourceError):
    """The media has no audio stream, or not the one asked for."""


class TruncatedMediaError(SourceError):
    """The recording ends before the place that its container promises."""


class ParameterError(InputError):
    """A parameter is out of bounds; the message names the field and the bounds."""


class UnknownModelError(ParameterError):
    """No model of that name can be found."""


class ServiceRefusedError(ParameterError):
    """A model service understood a request and does not take it.

    `status` is its HTTP status, `param` the parameter that it names, if any.
    """

    def __init__(self, message: str, status: int, param: str | None) -> None:
        super().__init__(message)
        self.status = status
        self.param = param


class WebhookRefusedError(InputError):
    """The receiver of a webhook, or the address policy, does not take it."""


class OutputError(InputError):
    """The transcript cannot be written to the place that was given."""


class WeightsError(InputError):
    """Model weights are missing, damaged, or not the ones that were pinned."""


class EnvironmentFaultError(InputError):
    """Something that longform needs is missing on this machine or cluster."""


class ChunkQuarantinedError(InputError):
    """A macro chunk has killed its worker process so often that it is not tried again."""


class IncompleteTranscriptError(LongformError):
    """Some chunks failed for good; what could be transcribed has been written.

    `output` is the `TranscribeOutput` with what there is.
    """

    def __init__(self, message: str, output: object = None) -> None:
        super().__init__(message)
        self.output = output


class BatchFailedError(LongformError):
    """A bulk run tried files, and not one of them came through.

    `report` is the `BatchReport`.
    """

    def __init__(self, message: str, report: object = None) -> None:
        super().__init__(message)
        self.report = report


class InvariantError(LongformError):
    """A law that the code relies on does not hold: this is a bug in longform."""
