"""The ladder: what is rejected is sampled, the same every time, until something passes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from longform.audio import Span
from longform.chunking.micro_chunk import MicroChunk
from longform.settings import Settings
from longform.speech.decode_quality import Scores
from longform.speech.devices import load_whisper_model, seeded_model
from longform.speech.engine import DecodeOptions
from longform.speech.fallback import TemperatureFallback
from longform.speech.replicas import ReplicaConfig
from longform.speech.weights import resolve
from longform.speech.whisper_windows import Hypothesis, WhisperWindows

OPTIONS = DecodeOptions()


def hypothesis(text: str, avg_logprob: float = -0.2, temperature: float = 0.0) -> Hypothesis:
    """Return a decoded window with no sign of silence."""
    scores = Scores(text, avg_logprob, 0.0, 1.0)
    return Hypothesis(text, (1,), scores, temperature, "fallback" if temperature else "beam")


@dataclass
class Samples:
    """Windows that sample what a script says, by temperature."""

    script: dict[float, Hypothesis]
    temperatures: list[float] = field(default_factory=list)
    seeds: list[int] = field(default_factory=list)

    @contextmanager
    def sampling(
        self, encoded: Any, index: int, language: str, options: DecodeOptions, seed: int
    ) -> Iterator[Callable[[float], Hypothesis]]:
        """Lend the script as a sampler."""
        self.seeds.append(seed)

        def sample(temperature: float) -> Hypothesis:
            self.temperatures.append(temperature)
            return self.script[temperature]

        yield sample


def settled(samples: Samples, first: Hypothesis, pcm_value: int = 1) -> Any:
    """Settle one window of one second."""
    chunk = MicroChunk(Span(0, 16_000), np.full(16_000, pcm_value, np.int16), (Span(0, 16_000),))
    windows = cast(WhisperWindows, samples)
    return TemperatureFallback(windows, cast(Any, None), OPTIONS).decide(0, chunk, "en", first)


def test_what_is_good_is_not_decoded_again() -> None:
    """No model is loaded for the ladder where it is not climbed."""
    samples = Samples({})
    assert settled(samples, hypothesis("Good evening.")).num_fallbacks == 0
    assert samples.seeds == []


def test_the_first_rung_that_passes_is_taken() -> None:
    """A loop at 0 and at 0.2, a sentence at 0.4: the sentence is kept, without a flag."""
    samples = Samples(
        {0.2: hypothesis("yes " * 9, temperature=0.2), 0.4: hypothesis("Good.", temperature=0.4)}
    )
    found = settled(samples, hypothesis("no " * 9))
    assert (found.kept.text, found.num_fallbacks, found.flags) == ("Good.", 2, ())
    assert found.kept.path == "fallback"


def test_where_no_rung_passes_the_least_bad_is_kept_with_a_flag() -> None:
    """Five rungs, all improbable: the most probable stays, marked as doubtful."""
    rungs = {
        t: hypothesis(f"words at {t}", -1.1 - t, temperature=t) for t in (0.2, 0.4, 0.6, 0.8, 1.0)
    }
    found = settled(Samples(rungs), hypothesis("first words", -2.5))
    assert (found.kept.text, found.num_fallbacks) == ("words at 0.2", 5)
    assert found.flags == ("low_confidence",)


def test_the_seed_follows_from_the_audio_alone() -> None:
    """The same audio has the same seed, whatever was decoded before it."""
    samples = Samples({0.2: hypothesis("Good.", temperature=0.2)})
    for value in (1, 2, 1):
        settled(samples, hypothesis("no " * 9), value)
    assert samples.seeds[0] == samples.seeds[2] != samples.seeds[1]
    assert all(0 <= seed < 2**31 for seed in samples.seeds)


@pytest.mark.model
def test_a_seed_gives_the_same_sample_every_time(tmp_path: Path) -> None:
    """Two copies of the model with one seed draw alike, a third with another seed does not."""
    import ctranslate2

    path = resolve("base", Settings(home=tmp_path).home).path
    model = load_whisper_model(path, "cpu", "float32", ReplicaConfig())
    features = np.random.default_rng(1).normal(0, 0.3, (1, 80, 3_000)).astype(np.float32)
    encoded = np.array(model.encode(features[0]))
    prompt = [[model.hf_tokenizer.token_to_id("<|startoftranscript|>")]]

    def draw(seed: int) -> list[int]:
        with seeded_model(path, model, 1, seed) as sampler:
            results = sampler.generate(
                ctranslate2.StorageView.from_array(encoded),
                prompt,
                beam_size=1,
                sampling_topk=0,
                sampling_temperature=1.0,
                max_length=24,
            )
        return list(results[0].sequences_ids[0])

    assert draw(7) == draw(7)
    assert draw(7) != draw(8)
