"""Every fault, and what must come of it: sound as if nothing had been, or one error."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from longform.errors import (
    AccessDeniedError,
    AddressInvalidError,
    ConnectionCutError,
    ContentChangedError,
    EncodedAnswerError,
    LongformError,
    MalformedAnswerError,
    RangesWithdrawnError,
    RedirectLoopError,
    SchemeRefusedError,
    ServerFailingError,
    ServerOverloadedError,
    ServerUnreachableError,
    SourceGoneError,
    SourceMissingError,
    SourceReplacedError,
    SourceResizedError,
    SourceSilentError,
    SourceTooSlowError,
    TooManyRequestsError,
    UnusableAnswerError,
    WrongRangeError,
)
from tests.faults.acts import (
    Act,
    answer_and_close,
    become,
    chunked,
    close_delimited,
    compressed,
    cut,
    cut_at_place,
    cut_head,
    deflated,
    early_hints,
    garbage,
    hang_up,
    head_flood,
    http_10,
    longer,
    more_than_announced,
    multipart,
    other_content,
    redirect,
    redirect_loop,
    redirect_to_other,
    refuse,
    relabel,
    reset,
    say_nothing,
    short_range,
    slow_body,
    slow_head,
    stall,
    status,
    throttle,
    truncated,
    whole,
)
from tests.support.fault_server import Fault, Served

CUT_BYTES = 1_500  # bytes of a body; the reader's resumed requests overlap by 512
PAUSE = "1"  # seconds that a server asks to wait; the policy of the tests caps it


@dataclass(frozen=True)
class FaultCase:
    """One fault, and what must come of it.

    Attributes:
        error: the class that is expected, exactly; None: it heals.
        mid_job: begins when the audio is read; else anywhere after the first look.
        start: how the server speaks of the content until then.
        policy: changes to the policy of the tests.
        floor_windows: stall time-outs in which a slow server must have brought something.
            Few tell slowness first, many tell silence first, however busy the machine is.
    """

    name: str
    fault: Fault
    error: type[LongformError] | None = None
    mid_job: bool = False
    start: Served = field(default_factory=Served)
    policy: Mapping[str, float] = field(default_factory=dict)
    floor_windows: float = 2.0


def _once(name: str, act: Act, times: int = 1, **policy: float) -> FaultCase:
    return FaultCase(name, Fault(act, times), policy=policy)


def _heals(name: str, act: Act) -> FaultCase:
    return FaultCase(name, Fault(act))


def _always(name: str, act: Act, error: type[LongformError], **policy: float) -> FaultCase:
    return FaultCase(name, Fault(act), error, mid_job=True, policy={"max_attempts": 2, **policy})


def _silent(name: str, act: Act, times: int | None = None) -> FaultCase:
    made = _once(name, act) if times else _always(name, act, SourceSilentError)
    policy = {**made.policy, "stall_timeout_sec": 1.0}
    return replace(made, policy=policy, floor_windows=20.0)


def _slow(name: str, act: Act, times: int | None = None) -> FaultCase:
    made = _once(name, act) if times else _always(name, act, SourceTooSlowError)
    policy = {**made.policy, "connect_timeout_sec": 1.0}
    return replace(made, policy=policy, floor_windows=0.4)


def _change(
    name: str, fault: Fault, error: type[LongformError], start: Served | None = None
) -> FaultCase:
    return FaultCase(name, fault, error, mid_job=True, start=start or Served())


DATED = Served(etag=None)
WEAK = Served(etag='W/"one"')
BARE = Served(etag=None, last_modified=None)
FOR_GOOD = 1e6  # seconds

CASES = (
    # Cut connections.
    _once("FIN in the body, once", cut()),
    _once("FIN at the place, once", cut_at_place),
    _once("FIN before the body, three times", cut(0), 3),
    _heals("FIN at byte k of every body", cut(CUT_BYTES)),
    _always("FIN after one byte, always", cut(1), ConnectionCutError),
    _always("FIN at the place, always", cut_at_place, ConnectionCutError),
    _once("RST in the body, once", reset),
    _always("RST in the body, always", reset, ConnectionCutError),
    _once("cut in the headers, once", cut_head),
    _always("cut in the headers, always", cut_head, ConnectionCutError),
    _once("no answer at all, once", hang_up),
    _always("no answer at all, always", hang_up, ConnectionCutError),
    _once("refused for 0.2 s", refuse(0.2), max_attempts=40),
    _always("refused for good", refuse(FOR_GOOD), ServerUnreachableError, max_attempts=6),
    # Throttling and failing servers.
    _once("429, Retry-After in seconds", status("429 Slow Down", Retry_After=PAUSE), 2),
    _once("429, Retry-After as a date", throttle("429 Slow Down"), 2),
    _once("503, Retry-After as a date", throttle("503 Busy"), 2),
    _always("429 for ever", status("429 Slow Down"), TooManyRequestsError),
    _always("503 for ever", throttle("503 Busy"), ServerOverloadedError),
    _once("500, three times", status("500 Oops"), 3),
    _once("502, three times", status("502 Bad Gateway"), 3),
    _once("504, three times", status("504 Timeout"), 3),
    _once("522, three times", status("522 Origin Gone"), 3),
    _always("500 for ever", status("500 Oops"), ServerFailingError),
    # Wrong answers.
    _once("shifted Content-Range, once", relabel(Content_Range="bytes {shifted}-{last}/{total}")),
    _always(
        "shifted Content-Range, always",
        relabel(Content_Range="bytes {shifted}-{last}/{total}"),
        WrongRangeError,
    ),
    _once("206 without Content-Range, once", relabel(Content_Range=None)),
    _always("206 without Content-Range, always", relabel(Content_Range=None), WrongRangeError),
    _once("200 instead of 206, once", whole),
    _always("200 instead of 206, always", whole, RangesWithdrawnError),
    _once("multipart/byteranges, once", multipart),
    _always("multipart/byteranges, always", multipart, WrongRangeError),
    _heals("less than asked, honestly", short_range(CUT_BYTES)),
    _always("one byte per answer, honestly", short_range(513), WrongRangeError),
    _once("gzip, once", compressed),
    _always("gzip, always", compressed, EncodedAnswerError),
    _always("deflate without a length, always", deflated, EncodedAnswerError),
    _once("garbage instead of a status, once", garbage),
    _always("garbage instead of a status, always", garbage, MalformedAnswerError),
    _always("headers without end", head_flood, MalformedAnswerError),
    # Lengths.
    _once("Content-Length too short, once", relabel(Content_Length="10")),
    _always("Content-Length too short, always", relabel(Content_Length="10"), ConnectionCutError),
    _heals("Content-Length too long, always", relabel(Content_Length="{length}0")),
    _heals("no length: chunked", chunked()),
    _once("no length: chunked, cut once", chunked(complete=False)),
    _heals("no length: until it closes", close_delimited),
    _heals("bytes after the body", more_than_announced),
    # Slow servers.
    _silent("stalls in the body, once", stall, 1),
    _silent("stalls in the body, always", stall),
    _silent("never answers, once", say_nothing, 1),
    _silent("never answers, always", say_nothing),
    _slow("a byte at a time, once", slow_body, 1),
    _slow("a byte at a time, always", slow_body),
    _slow("headers a byte at a time, always", slow_head),
    # Redirects.
    _heals("redirect to the same content", redirect("/moved.bin")),
    _always("redirect to other content", redirect_to_other, SourceReplacedError),
    _always("redirect loop", redirect_loop, RedirectLoopError),
    _always("redirect to ftp", redirect("ftp://127.0.0.1/x"), SchemeRefusedError),
    _always("redirect to nowhere", redirect("http://[::1/x"), AddressInvalidError),
    # Access that ends.
    _always("403 in mid-job", status("403 Expired"), AccessDeniedError),
    _always("401 in mid-job", status("401 Unauthorized"), AccessDeniedError),
    _always("404 in mid-job", status("404 Not Found"), SourceMissingError),
    _always("410 in mid-job", status("410 Gone"), SourceGoneError),
    _always("418 in mid-job", status("418 Teapot"), UnusableAnswerError),
    _always("416 in mid-job", status("416 No"), SourceResizedError),
    # Files that change.
    _change("replaced: new ETag", other_content(etag='"two"'), SourceReplacedError),
    _change("replaced: new weak ETag", other_content(etag='W/"two"'), SourceReplacedError, WEAK),
    _change(
        "replaced: new date only",
        other_content(last_modified="Sun, 02 Nov 2025 10:00:00 GMT"),
        SourceReplacedError,
        DATED,
    ),
    _change("replaced: same ETag", other_content(), ContentChangedError),
    _change("replaced: no validators", other_content(), ContentChangedError, BARE),
    _change("replaced: ETag withdrawn", other_content(etag=None), RangesWithdrawnError),
    _change("longer: same ETag", become(longer), SourceResizedError),
    _change("longer: no validators", become(longer), SourceResizedError, BARE),
    _change("truncated: new ETag", truncated(etag='"two"'), SourceReplacedError),
    _change("truncated: same ETag", truncated(), SourceResizedError),
    # Odd, and right.
    _heals("HTTP/1.0", http_10),
    _heals("closes kept connections at once", answer_and_close),
    _heals("103 before every answer", early_hints),
)
