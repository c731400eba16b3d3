"""What we use of faster-whisper beyond its documentation: `longform/speech`, and its VAD."""

import pytest

from longform.chunking.vad import CONTEXT_SAMPLES, FRAME_SAMPLES, STATE_SIZE, silero_model
from tests.support.library import Library

FASTER_WHISPER = Library("faster-whisper")
MODEL = "faster_whisper.WhisperModel"
TRANSCRIBE = "faster_whisper.transcribe"


@pytest.mark.parametrize("attribute", ["model", "hf_tokenizer", "feature_extractor", "max_length"])
def test_a_model_has_the_parts_that_we_take(attribute: str) -> None:
    """`WhisperWindows` decodes batches with these, which `transcribe` would not let it."""
    FASTER_WHISPER.require_attributes(MODEL, attribute)


def test_prompts_and_suppressed_tokens_are_made_as_before() -> None:
    """`longform/speech/whisper_windows.py` asks for a prompt in this way."""
    FASTER_WHISPER.require_call(
        "faster_whisper.tokenizer.Tokenizer", "tokenizer", True, task="transcribe", language="en"
    )
    FASTER_WHISPER.require_call("faster_whisper.tokenizer.Tokenizer.encode", None, " text")
    FASTER_WHISPER.require_call(f"{TRANSCRIBE}.get_suppressed_tokens", "tokenizer", [-1])
    FASTER_WHISPER.require_call(
        f"{MODEL}.get_prompt", None, "tokenizer", [], without_timestamps=True, hotwords=None
    )


def test_words_are_aligned_for_many_windows_at_once() -> None:
    """`longform/speech/whisper_windows.py` gives a list of windows with a length for each."""
    FASTER_WHISPER.require_call(
        f"{MODEL}.find_alignment", None, "tokenizer", [[1]], "encoder output", [3_000]
    )
    merge = FASTER_WHISPER.find(f"{TRANSCRIBE}.merge_punctuations")
    words = [{"word": word, "tokens": [index]} for index, word in enumerate([" so", ","])]
    merge(words, "(", ",")
    FASTER_WHISPER.require(words[0]["word"] == " so,", "merge_punctuations changes the list")


def test_features_are_computed_as_before() -> None:
    """The numpy features are the extractor's own."""
    FASTER_WHISPER.require_call(
        "faster_whisper.feature_extractor.FeatureExtractor.__call__", None, "audio"
    )


def test_models_are_found_by_name() -> None:
    """`longform/speech/weights.py` lists names and downloads, or looks into the cache only."""
    FASTER_WHISPER.require_call("faster_whisper.utils.available_models")
    FASTER_WHISPER.require_call(
        "faster_whisper.utils.download_model", "base", local_files_only=True
    )


def test_the_wheel_has_the_network_that_finds_speech() -> None:
    """The file lies under its name and takes frames and state of the shapes that we give."""
    session = silero_model()._session
    shapes = {each.name: list(each.shape)[-1] for each in session.get_inputs()}
    expected = {"input": CONTEXT_SAMPLES + FRAME_SAMPLES, "h": STATE_SIZE, "c": STATE_SIZE}
    FASTER_WHISPER.require(set(shapes) == set(expected), f"inputs {sorted(expected)}")
    for name, size in shapes.items():
        FASTER_WHISPER.require(
            not isinstance(size, int) or size == expected[name], f"{name} is {expected[name]} wide"
        )
