"""The API of a model service: OpenAI's audio endpoints, its health, and its metrics."""

import asyncio
import hmac
import logging
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from longform.errors import LongformError
from longform.params import Task, TranscribeParams
from longform.serving.admission import Admission, stopping
from longform.serving.answers import answer, chunk_answer
from longform.serving.api_error import ApiError, api_error
from longform.serving.body import Body
from longform.serving.metrics import CONTENT_TYPE, Metrics
from longform.serving.model_host import ModelHost
from longform.serving.service_settings import ServiceSettings
from longform.serving.speech_request import parse_form, require_model
from longform.serving.transcriber import Transcriber
from longform.serving.upload import receive_upload

# Who is let in: those who send one of the keys as a bearer token.


def require_key(request: Request, keys: Sequence[str]) -> None:
    """Check the key of a request; everybody is let in where no keys are set.

    Every key is compared in full, so that the time taken says nothing about any of them.

    Raises:
        ApiError: 401.
    """
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    # Headers are bytes, which the framework shows as Latin-1.
    given = token.strip().encode("latin-1") if scheme.casefold() == "bearer" else b""
    matches = [hmac.compare_digest(given, key.encode()) for key in keys]
    if keys and not any(matches):
        wrong = "the API key is not one of this service's" if given else "no API key was sent"
        raise ApiError(
            401,
            "invalid_api_key",
            f"{wrong}: send it as `Authorization: Bearer KEY`",
            headers={"WWW-Authenticate": "Bearer"},
        )


logger = logging.getLogger(__name__)

CLIENT_GONE = 499  # nginx's; only the metrics show it
FOLDER_PREFIX = "longform-upload-"

Endpoint = Callable[[Request], Awaitable[Response]]


class Api:
    """The endpoints of one service, and what they share."""

    def __init__(
        self,
        settings: ServiceSettings,
        params: TranscribeParams,
        host: ModelHost,
        metrics: Metrics,
        ffmpeg: str | None,
    ) -> None:
        self._settings = settings
        self._params = params
        self._host = host
        self._metrics = metrics
        self._transcriber = Transcriber(settings, ffmpeg)
        self.admission = Admission(settings.max_requests, self._wait_sec)
        self._watch()

    def app(self) -> Starlette:
        """Return the ASGI application."""
        transcriptions = self._counted("transcriptions", self._speech("transcribe"))
        translations = self._counted("translations", self._speech("translate"))
        routes = [
            Route("/v1/audio/transcriptions", transcriptions, methods=["POST"]),
            Route("/v1/audio/translations", translations, methods=["POST"]),
            Route("/v1/models", self._counted("models", self._models)),
            Route("/v1/models/{name:path}", self._counted("models", self._model)),
            Route("/health", self._health),
            Route("/health/live", self._alive),
            Route("/metrics", self._metrics_text),
        ]
        handlers = {HTTPException: _no_such_route, Exception: _fault}
        return Starlette(routes=routes, exception_handlers=handlers)

    def _counted(self, name: str, endpoint: Endpoint) -> Endpoint:
        """Return an endpoint whose errors are told in OpenAI's shape, and that is counted."""

        async def counted(request: Request) -> Response:
            started, status = time.monotonic(), 500
            try:
                response = await self._answered(name, endpoint, request)
                status = response.status_code
                return response
            finally:
                elapsed_sec = time.monotonic() - started
                self._metrics.requests.labels(name, str(status)).inc()
                self._metrics.request_seconds.labels(name).observe(elapsed_sec)
                logger.info("%s %d in %.2f s", name, status, elapsed_sec)

        return counted

    async def _answered(self, name: str, endpoint: Endpoint, request: Request) -> Response:
        try:
            require_key(request, self._settings.keys)
            return await endpoint(request)
        except ClientDisconnect:
            return Response(status_code=CLIENT_GONE)
        except ApiError as error:
            failure = error
        except LongformError as error:
            failure = api_error(error)
            if failure.status >= 500:
                logger.exception("%s failed", name)
        self._metrics.errors.labels(failure.code).inc()
        if request.method == "POST":
            # Until the body is read to its end, the connection cannot serve another request.
            body = getattr(request.state, "body", None) or Body(request, self._settings)
            await body.discard()
            failure.headers.update({} if body.complete else {"Connection": "close"})
        return failure.response()

    def _speech(self, task: Task) -> Endpoint:
        async def speech(request: Request) -> Response:
            body = request.state.body = Body(request, self._settings)
            with self.admission.admit():
                try:
                    return await self._within_limits(request, body, task)
                except asyncio.CancelledError:
                    if self.admission.ended:
                        raise stopping() from None
                    raise

        return speech

    async def _within_limits(self, request: Request, body: Body, task: Task) -> Response:
        limit_sec = self._settings.request_timeout_sec
        try:
            async with asyncio.timeout(limit_sec):
                return await self._transcribe(request, body, task)
        except TimeoutError as error:
            raise ApiError(
                504,
                "request_timeout",
                f"the request took longer than {limit_sec:.0f} s, the limit of this service: "
                "send a shorter recording",
                headers={"x-should-retry": "false"},  # the openai client would, twice
            ) from error

    async def _transcribe(self, request: Request, body: Body, task: Task) -> Response:
        batcher = self._host.batcher
        body.require_fitting()
        with tempfile.TemporaryDirectory(prefix=FOLDER_PREFIX) as folder:
            content_type = request.headers.get("content-type", "")
            upload = await receive_upload(content_type, body.chunks(), Path(folder))
            self._metrics.upload_bytes.inc(upload.num_bytes)
            asked = parse_form(upload.fields, task, self._host.names, self._params)
            if asked.note is not None:
                work = self._transcriber.chunk(upload, asked.note, batcher)
                return chunk_answer(await _unless_gone(work, body))
            recording = self._transcriber.recording(upload, asked.params, batcher)
            output = await _unless_gone(recording, body)
            self._metrics.audio_seconds.inc(output.input_duration_sec)
            return answer(output, asked.response_format, asked.granularities)

    async def _models(self, request: Request) -> Response:
        return JSONResponse({"object": "list", "data": self._host.entries()})

    async def _model(self, request: Request) -> Response:
        name = request.path_params["name"]
        require_model(name, self._host.names)
        return JSONResponse(next(e for e in self._host.entries() if e["id"] == name))

    async def _health(self, request: Request) -> Response:
        """Tell whether requests should be sent here."""
        state = "ok" if self._host.is_loaded else "loading"
        state = "stopping" if self.admission.stopping else state
        return JSONResponse({"status": state}, status_code=200 if state == "ok" else 503)

    async def _alive(self, request: Request) -> Response:
        """Tell whether the process should be left alone."""
        return JSONResponse({"status": "alive"})

    async def _metrics_text(self, request: Request) -> Response:
        return Response(self._metrics.text(), headers={"Content-Type": CONTENT_TYPE})

    def _watch(self) -> None:
        watch = self._metrics.watch
        watch("requests_in_flight", "Requests now.", lambda: self.admission.num_running)
        watch("queue_depth", "Micro chunks that wait.", lambda: self._host.num_waiting)
        watch("streams", "Requests in the engine's queue now.", lambda: self._host.num_streams)
        watch("model_loaded", "1 once the model is loaded.", lambda: self._host.is_loaded)

    def _wait_sec(self) -> float:
        """Guess how long it takes to work off what waits: a second for each batch of it."""
        return min(60.0, self._host.num_waiting / self._params.batch_size)


async def _unless_gone(work: Any, body: Body) -> Any:
    """Return what `work` returns; end it when the client goes, who will not read it.

    Raises:
        ClientDisconnect: the client has gone.
    """
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(body.gone())
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return working.result()
    finally:
        leaving.cancel()
        working.cancel()
        # The upload is removed next: nothing may read it any more.
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _fault(request: Request, error: Exception) -> Response:
    return ApiError(500, "internal_error", "a fault of this service: see its log").response()


async def _no_such_route(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    what = "does not take" if status == 405 else "has no"
    message = f"this service {what} {request.method} {request.url.path}"
    return ApiError(status, "not_found" if status == 404 else "invalid_request", message).response()
