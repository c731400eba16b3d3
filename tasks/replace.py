"""Stage `replace`: a new transcript, or the note of a failure, at the place of a file."""

import asyncio
from collections.abc import Sequence

from prefect import task
from prefect.cache_policies import NO_CACHE

from longform.reprocess import replace as domain
from longform.reprocess.existing import FailureNote, write_failure
from longform.reprocess.places import Place
from longform.reprocess.report import TextChange
from longform.transcript.output import TranscribeOutput


@task(name="replace", task_run_name="replace {place.stem}", cache_policy=NO_CACHE)
async def replace_transcript(
    output: TranscribeOutput, formats: Sequence[str], place: Place, *, with_page: bool
) -> tuple[TranscribeOutput, TextChange | None]:
    """Write the files in the place of older ones; return what changed in the text."""
    return await asyncio.to_thread(
        domain.replace_transcript, output, formats, place, with_page=with_page
    )


@task(name="failure", task_run_name="failure {place.stem}", cache_policy=NO_CACHE)
async def leave_failure(place: Place, note: FailureNote) -> None:
    """Leave a note of a failure, which `select=failed` finds."""
    await asyncio.to_thread(write_failure, place.folder, place.stem, note)
