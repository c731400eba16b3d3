"""Where transcripts lie: one place for one recording, in every run."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longform.errors import OutputError
from longform.reprocess.entry import Entry
from longform.reprocess.output_paths import OutputPath, OutputPaths, below
from longform.transcript.write import write_outputs
from tests.support.transcripts import output_of, segment_of

FINGERPRINTS = {"a": "aaaaaaaa11", "b": "bbbbbbbb22"}


def entry(media_url: str, **fields: str) -> Entry:
    """Return an entry of a list."""
    return Entry(media_url=media_url, **fields)


async def find(
    one: Entry, target: Path, among: Sequence[Entry], fingerprint: str = ""
) -> OutputPath:
    """Find the place of an entry in a run of several; "": it must not be opened for that."""

    async def opened() -> str:
        assert fingerprint, "the recording was opened"
        return fingerprint

    return await OutputPaths(str(target), among).find(one, opened)


def put(place: OutputPath, one: Entry, fingerprint: str = "aaaaaaaa11") -> None:
    """Write a transcript of an entry to its place."""
    output = output_of([segment_of(" text", 0, 1)], fingerprint=fingerprint)
    provenance = output.provenance.model_copy(update={"source_address": one.shown})
    output = output.model_copy(update={"provenance": provenance})
    write_outputs(output, ("json",), place.target, place.stem)


async def test_a_recording_alone_has_the_plain_name(tmp_path: Path) -> None:
    """The one that `transcribe` would give it, and there it is found again."""
    one = entry("/media/talk.mp3")
    place = await find(one, tmp_path, [one])
    assert (place.target, place.stem, place.transcript) == (str(tmp_path), "talk", None)
    put(place, one)
    again = await find(one, tmp_path, [one])
    assert (again.stem, again.transcript is not None) == ("talk", True)


async def test_two_of_one_name_lie_apart_in_every_run(tmp_path: Path) -> None:
    """Together, alone, or one after the other: neither ever has the other's place."""
    one, two = entry("/a/talk.mp3"), entry("/b/TALK.wav")
    first = [await find(each, tmp_path, [one, two]) for each in (one, two)]
    assert len({place.stem.casefold() for place in first}) == 2
    for place, each in zip(first, (one, two), strict=True):
        put(place, each)
    assert (await find(two, tmp_path, [two])).stem == first[1].stem
    assert (await find(one, tmp_path, [one, two])).stem == first[0].stem


async def test_the_second_to_come_leaves_the_first_its_name(tmp_path: Path) -> None:
    """A transcript that lies there from another recording is not replaced."""
    one, two = entry("/a/talk.mp3"), entry("/b/talk.mp3")
    put(await find(one, tmp_path, [one]), one)
    other = await find(two, tmp_path, [two], fingerprint=FINGERPRINTS["b"])
    assert (other.stem, other.transcript) == (f"talk-{two.mark[:8]}", None)
    put(other, two, FINGERPRINTS["b"])
    assert (await find(one, tmp_path, [one, two])).stem == "talk"
    assert (await find(two, tmp_path, [two])).stem == other.stem


async def test_a_recording_that_moved_keeps_its_transcript(tmp_path: Path) -> None:
    """By its content, which is looked at only then."""
    old, moved = entry("/mnt/a/talk.mp3"), entry("/mnt/b/talk.mp3")
    put(await find(old, tmp_path, [old]), old)
    place = await find(moved, tmp_path, [moved], fingerprint=FINGERPRINTS["a"])
    assert (place.stem, place.transcript is not None) == ("talk", True)


async def test_what_is_no_transcript_is_not_replaced(tmp_path: Path) -> None:
    """A file of another program under the name that a transcript would have."""
    one = entry("/media/talk.mp3")
    (tmp_path / "talk.json").write_text('{"my": "notes"}')
    place = await find(one, tmp_path, [one])
    assert place.stem == f"talk-{one.mark[:8]}"
    (tmp_path / f"{place.stem}.json").write_text("[]")
    with pytest.raises(OutputError, match="move it away"):
        await find(one, tmp_path, [one])


async def test_a_query_says_which_recording_it_is(tmp_path: Path) -> None:
    """Two downloads of one path lie apart; a renewed signature changes nothing."""
    url = "https://h/download"
    places = [
        (await find(entry(f"{url}?{query}"), tmp_path, [])).stem
        for query in (
            "id=3&Expires=1&Signature=abc",
            "Signature=xyz&id=3&Expires=2",
            "id=4&Expires=1&Signature=abc",
        )
    ]
    assert places[0] == places[1] != places[2]
    signed = entry(f"{url}.mp3?X-Amz-Signature=1&X-Amz-Date=2")
    assert (await find(signed, tmp_path, [signed])).stem == "download"
    azure = entry(f"{url}.mp3?sv=2024&se=2030&sp=r&sig=abc")
    assert (await find(azure, tmp_path, [azure])).stem == "download"


async def test_a_guid_outlives_an_address(tmp_path: Path) -> None:
    """An episode whose file moved to another host keeps its place."""
    old = entry("https://a.example/talk.mp3", key="guid-1")
    new = entry("https://b.example/other/talk.mp3", key="guid-1")
    assert (await find(old, tmp_path, [])).stem == (await find(new, tmp_path, [])).stem


@given(folder=st.text(max_size=40))
def test_no_folder_leads_out_of_the_output_folder(folder: str) -> None:
    """Whatever a pattern or a list calls it."""
    placed = below("/out", folder)
    assert placed == "/out" or placed.startswith("/out/")
    assert not {"..", "."} & {*placed.split("/")}
    assert "\x00" not in placed


@given(
    urls=st.lists(
        st.builds(
            "{}/{}.{}".format,
            st.sampled_from(["/a", "/b", "/a/b", "https://h"]),
            st.sampled_from(["talk", "TALK", "talk.1", "con", "…"]),
            st.sampled_from(["mp3", "wav"]),
        ),
        min_size=1,
        max_size=12,
        unique=True,
    )
)
async def test_no_two_entries_share_a_place(
    tmp_path_factory: pytest.TempPathFactory, urls: list[str]
) -> None:
    """Not even where a file system folds upper and lower case."""
    target = tmp_path_factory.mktemp("out")
    entries = [entry(url) for url in urls]
    places = [await find(each, target, entries) for each in entries]
    assert len({(p.target, p.stem.casefold()) for p in places}) == len(entries)
