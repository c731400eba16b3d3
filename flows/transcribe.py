"""The flow `transcribe`: one recording in, one transcript out."""

from typing import Any, cast

from prefect import flow
from prefect.runtime import flow_run
from prefect.states import Completed
from prefect_dask import DaskTaskRunner

from flows.api_outage import best_effort
from flows.progress import RecordingProgress
from flows.recording import missing, transcribe_recording
from flows.run_lifecycle import cancelled, managed_run
from flows.summary_artifact import publish_summary
from flows.webhook import tell_webhook
from infra.cluster import open_cluster
from longform.errors import IncompleteTranscriptError
from longform.net.policy import shown_name
from longform.params import TranscribeParams
from longform.pipeline.chunk_outcomes import ChunkOutcomes
from longform.transcript.output import TranscribeOutput
from tasks.stages import write_outputs

DEFAULT_PARAMS = TranscribeParams()
DEFAULT_FORMATS = ("json", "srt", "vtt", "txt", "tsv", "html")


def run_name() -> str:
    """Name a run after its recording; never after its URL, which may carry a signature."""
    return f"transcribe {shown_name(str(flow_run.parameters.get('media_url', '')))}"


@flow(
    name="transcribe",
    flow_run_name=run_name,
    task_runner=DaskTaskRunner(cluster_class=open_cluster),
    persist_result=False,
    **tell_webhook,
)
async def transcribe(
    media_url: str,
    params: TranscribeParams = DEFAULT_PARAMS,
    output_dir: str | None = None,
    output_formats: tuple[str, ...] = DEFAULT_FORMATS,
    use_cache: bool = True,
) -> TranscribeOutput:
    """Transcribe one recording of any length, exactly, on the cluster that is configured.

    Args:
        media_url: Recording: http(s) or object store URL, or path.
        params: What to transcribe and how.
        output_dir: Folder or fsspec URL for the files. Empty: as configured.
        output_formats: Files to write: json, srt, vtt, txt, tsv, html, diarized_json.
        use_cache: Take chunks that an earlier run has finished from the cache.
    """
    # Prefect's form takes what it says of each parameter from above, and from nowhere else.
    progress = RecordingProgress(shown_name(media_url))
    async with managed_run("transcribe", media_url, progress) as run:
        done = await transcribe_recording(
            media_url, params, run, use_cache=use_cache, with_page="html" in output_formats
        )
        output = await write_outputs(done.output, output_formats, run.output_target(output_dir))
        await best_effort(lambda: publish_summary(output, done.outcomes))
        run.record.finish(output)
        progress.stage("done")
        return ended(conclude(output, done.outcomes, params))
    return cast("TranscribeOutput", cancelled())


def ended(output: TranscribeOutput) -> TranscribeOutput:
    """Return what ends the run as Completed; under a name of its own where there is damage."""
    if output.status != "complete_with_damage":
        return output
    state: Any = Completed(
        name="CompleteWithDamage",
        message=f"{output.damaged_sec:.2f} s of the recording are damaged",
        data=output,
    )
    # Prefect takes a returned state for the run's own, and gives callers its data.
    return cast("TranscribeOutput", state)


def conclude(
    output: TranscribeOutput, outcomes: ChunkOutcomes, params: TranscribeParams
) -> TranscribeOutput:
    """Return the transcript, or fail the run where chunks are missing and that was not allowed.

    Raises:
        IncompleteTranscriptError: with the output that has been written, all the same.
    """
    if not outcomes.failures or params.on_chunk_failure == "partial":
        return output
    raise IncompleteTranscriptError(missing(outcomes), output)
