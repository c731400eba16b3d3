"""The engine that sends micro chunks to a model service with OpenAI's transcription API.

To a service of ours the chunk goes as it is, with all that decides on its text. Any other
server gets the plain API, and whatever it leaves out of its answer is done without.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import SecretStr, ValidationError

from longform.chunking.micro_chunk import MicroChunk
from longform.errors import EnvironmentFaultError, InvariantError, ServiceRefusedError
from longform.params import Task
from longform.settings import Settings
from longform.speech.engine import (
    DecodeOptions,
    Engine,
    EngineSpec,
    MicroRequest,
    MicroResult,
    RemoteService,
)
from longform.speech.language import LanguageVotes
from longform.speech.remote.chunk_protocol import (
    ANSWER_FIELD,
    CHUNK_FIELD,
    ChunkAnswer,
    note_of,
    to_wav,
)
from longform.speech.remote.client import ServiceClient
from longform.speech.remote.discovery import find_service
from longform.speech.remote.openai_response import parse_answer

_PATHS: dict[Task, str] = {
    "transcribe": "audio/transcriptions",
    "translate": "audio/translations",
}


def create(spec: EngineSpec, home: Path) -> Engine:
    """Return an engine that asks the service of `spec`; of this process's settings without one.

    The key is read here, in the process that sends it, so that it travels with no job.

    Raises:
        ParameterError, EnvironmentFaultError, EngineUnavailableError: from `find_service`.
    """
    settings = Settings()
    key = settings.engine_api_key
    service = spec.remote or find_service(settings.engine_url, key, spec.model).service
    return RemoteEngine(service, spec.model, key, spec.batch_size)


class RemoteEngine:
    """Sends the chunks of a batch at the same time, each in a request of its own.

    Args:
        service: where to, and what is there.
        model: name that the service is asked for.
        key: bearer token, or None.
        concurrency: most requests at a time.
    """

    def __init__(
        self, service: RemoteService, model: str, key: SecretStr | None, concurrency: int
    ) -> None:
        self._service = service
        self._model = model
        self._concurrency = concurrency
        self._client = ServiceClient(service.url, key, max_connections=concurrency)
        self._refuses_verbose = False

    @property
    def identity(self) -> str:
        """What the service says about its model and engine."""
        return self._service.identity

    def transcribe(
        self, batch: Sequence[MicroRequest], options: DecodeOptions
    ) -> list[MicroResult]:
        """Have a batch decoded by the service.

        Raises:
            EngineUnavailableError: the service failed, or stayed busy or out of reach.
            EnvironmentFaultError, ParameterError: it refuses for good.
        """
        with ThreadPoolExecutor(self._concurrency, "longform-remote") as pool:
            if not self._service.speaks_longform:
                return list(pool.map(lambda each: self._plain(each.chunk, options), batch))
            answers = list(
                pool.map(lambda each: self._exact(each.chunk, _asked(each, options)), batch)
            )
            settled = [
                _settle(request.languages, request.chunk, answer)
                for request, answer in zip(batch, answers, strict=True)
            ]
            return list(
                pool.map(
                    lambda at: self._in_language(
                        batch[at].chunk, _asked(batch[at], options), *settled[at]
                    ),
                    range(len(batch)),
                )
            )

    def _in_language(
        self, chunk: MicroChunk, options: DecodeOptions, result: MicroResult, code: str
    ) -> MicroResult:
        """Return the result in the language that its stream has decided on.

        The service hears one window and takes its word for the language. Where the stream
        knows better, which is rare, the window is decoded again.
        """
        if result.language == code:
            return result
        given = options.model_copy(update={"language": code})
        again = _as_probable(self._exact(chunk, given).result, result.language_probability)
        return replace(again, is_sure_of_language=result.is_sure_of_language)

    def _exact(self, chunk: MicroChunk, options: DecodeOptions) -> ChunkAnswer:
        fields = {
            "model": self._model,
            "response_format": "json",
            CHUNK_FIELD: note_of(chunk, options).model_dump_json(),
        }
        document = self._post(options.task, fields, chunk)
        try:
            answer = ChunkAnswer.model_validate(document.get(ANSWER_FIELD))
        except (ValidationError, InvariantError) as error:
            raise EnvironmentFaultError(
                f"the model service at {self._service.url} runs another version of longform: "
                "run the same one there and here"
            ) from error
        return answer

    def _plain(self, chunk: MicroChunk, options: DecodeOptions) -> MicroResult:
        try:
            document = self._post(options.task, self._plain_fields(options), chunk)
        except ServiceRefusedError as error:
            # Some models have text only, and say so by refusing the format.
            if self._refuses_verbose or not _is_about_format(error):
                raise
            self._refuses_verbose = True
            document = self._post(options.task, self._plain_fields(options), chunk)
        return parse_answer(document, chunk.span, options)

    def _plain_fields(self, options: DecodeOptions) -> dict[str, Any]:
        prompt = " ".join(filter(None, (options.initial_prompt, options.hotwords)))
        fields: dict[str, Any] = {"model": self._model, "temperature": "0"}
        if prompt:
            fields["prompt"] = prompt
        if options.language is not None and options.task == "transcribe":
            fields["language"] = options.language
        if self._refuses_verbose:
            return fields | {"response_format": "json"}
        fields["response_format"] = "verbose_json"
        if options.task == "transcribe":
            words = ["word"] if options.word_timestamps else []
            fields["timestamp_granularities[]"] = ["segment", *words]
        return fields

    def _post(self, task: Task, fields: dict[str, Any], chunk: MicroChunk) -> dict[str, Any]:
        files = {"file": ("chunk.wav", to_wav(chunk.pcm), "audio/wav")}
        return self._client.post(_PATHS[task], fields, files)


def _asked(request: MicroRequest, options: DecodeOptions) -> DecodeOptions:
    return options.model_copy(update={"halves_follow": request.halves_follow})


def _settle(
    track: LanguageVotes, chunk: MicroChunk, answer: ChunkAnswer
) -> tuple[MicroResult, str]:
    """Let the stream decide on the language; return the result so far, and that language."""
    if not answer.votes:
        return answer.result, answer.result.language
    code, probability = track.decide(chunk.span.start_sample, answer.votes.items())
    return _as_probable(answer.result, probability), code


def _as_probable(result: MicroResult, probability: float) -> MicroResult:
    """Return the result with how probable its stream takes the language to be, as here."""
    segments = tuple(
        segment.model_copy(update={"language_probability": probability})
        for segment in result.segments
    )
    return replace(result, segments=segments, language_probability=probability)


def _is_about_format(error: ServiceRefusedError) -> bool:
    return error.status in (400, 422) and (
        error.param in ("response_format", "timestamp_granularities", "timestamp_granularities[]")
        or "response_format" in str(error)
        or "verbose_json" in str(error)
    )
