"""A new transcript in the place of the old one, and what that changes."""

from collections.abc import Sequence

from longform.compare.alignment import compare
from longform.compare.comparison_report import report_page
from longform.compare.reading import Text, transcript_text
from longform.errors import ParameterError
from longform.reprocess.batch_report import TextChange
from longform.reprocess.output_paths import OutputPath
from longform.reprocess.previous_results import TRANSCRIPT_SUFFIX, forget_failure
from longform.transcript.output import TranscribeOutput
from longform.transcript.write import write_outputs

CHANGES_SUFFIX = ".changes.html"


def keeps_old(output: TranscribeOutput, path: OutputPath) -> bool:
    """Tell whether a new transcript has gaps where the one that is there has none."""
    old = path.transcript
    return output.status == "incomplete" and old is not None and old.status != "incomplete"


def replace_transcript(
    output: TranscribeOutput, formats: Sequence[str], path: OutputPath, *, with_page: bool
) -> tuple[TranscribeOutput, TextChange | None]:
    """Write a transcript to its path; return it with its files, and what changed in its text.

    Args:
        output: the new transcript.
        formats: names of formats; JSON is always among the files, since later runs read it.
        path: where it goes, and what lies there.
        with_page: whether the changes are written as a page beside it.

    Raises:
        OutputError: a file cannot be written; the old JSON file is then still there.
    """
    before = _old_text(path)
    written = write_outputs(output, ("json", *formats), path.target, path.stem)
    if output.status != "incomplete":
        forget_failure(path.folder, path.stem)
    return written, None if before is None else _changes(before, path, with_page=with_page)


def _old_text(path: OutputPath) -> Text | None:
    content = path.folder.read(f"{path.stem}{TRANSCRIPT_SUFFIX}") if path.transcript else None
    if content is None:
        return None
    try:
        return transcript_text("before", content.decode())
    except (ParameterError, UnicodeDecodeError):
        return None


def _changes(before: Text, path: OutputPath, *, with_page: bool) -> TextChange:
    # From the file, so that both texts have come the same way.
    content = path.folder.read(f"{path.stem}{TRANSCRIPT_SUFFIX}") or b""
    found = compare(before, transcript_text("after", content.decode()))
    page = f"{path.stem}{CHANGES_SUFFIX}"
    if with_page:
        path.folder.write(page, report_page(found).encode())
    return TextChange(
        word_error_rate=found.word_error_rate if found.num_words else None,
        num_words_before=found.num_words,
        num_replaced=found.substitutions,
        num_removed=found.deletions,
        num_added=found.insertions,
        page=path.folder.address(page) if with_page else None,
    )
