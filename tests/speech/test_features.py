"""Log-mel features: one contract, every implementation."""

from importlib.util import find_spec

import numpy as np
import pytest
from faster_whisper.feature_extractor import FeatureExtractor
from hypothesis import given, settings
from hypothesis import strategies as st

from longform.audio import SAMPLE_RATE_HZ, Pcm
from longform.errors import EnvironmentFaultError
from longform.speech.features.choose import _torch_has_cuda, choose_features
from longform.speech.features.numpy_features import NumpyFeatures
from longform.speech.features.protocol import MEL_RANGE, NUM_FRAMES, SAMPLES_PER_FRAME, Features

TOLERANCE = 1e-4
WINDOW_SAMPLES = 30 * SAMPLE_RATE_HZ
LENGTHS = (0, 1, 2, 40, 41, 159, 160, 161, 200, 201, 16_000, 80_000, 240_000, 479_999, 480_000)

needs_torch = pytest.mark.skipif(
    find_spec("torch") is None, reason="torch is not installed (the extra gpu brings it)"
)


@pytest.fixture(params=["numpy", pytest.param("torch", marks=needs_torch)])
def name(request: pytest.FixtureRequest) -> str:
    """Return the name of each implementation in turn."""
    return str(request.param)


@pytest.fixture(params=[80, 128])
def extractor(request: pytest.FixtureRequest) -> FeatureExtractor:
    """Return faster-whisper's extractor, for older models and for large-v3."""
    return FeatureExtractor(feature_size=request.param)


@pytest.fixture
def features(name: str, extractor: FeatureExtractor) -> Features:
    """Return each implementation in turn."""
    return choose_features(name, "cpu", extractor)


def speech_like(num_samples: int, seed: int = 0) -> Pcm:
    """Return noise in syllables over a voiced tone: loud and quiet, int16."""
    rng = np.random.default_rng(seed)
    time_sec = np.arange(num_samples) / SAMPLE_RATE_HZ
    syllables = np.clip(np.sin(2 * np.pi * 2 * time_sec), 0.0005, None)
    tone = np.sin(2 * np.pi * 150 * time_sec) + 0.3 * np.sin(2 * np.pi * 1_200 * time_sec)
    return (syllables * (tone + 0.2 * rng.standard_normal(num_samples)) * 8_000).astype(np.int16)


def reference(extractor: FeatureExtractor, pcm: Pcm) -> np.ndarray:
    """Return what faster-whisper computes for a window's audio, without its last frame."""
    return extractor(pcm.astype(np.float32) / 32_768)[..., :-1]


def test_every_length_equals_the_reference(features: Features, extractor: FeatureExtractor) -> None:
    """In one batch of lengths from none to 30 s, each window's audio has the reference's values."""
    recordings = [speech_like(length, seed=length) for length in LENGTHS]
    windows = features.windows(recordings)
    found = windows.to_numpy()
    assert found.shape == (len(LENGTHS), len(extractor.mel_filters), NUM_FRAMES)
    assert found.dtype == np.float32
    for pcm, window in zip(recordings, found, strict=True):
        heard = len(pcm) // SAMPLES_PER_FRAME
        np.testing.assert_allclose(
            window[:, :heard], reference(extractor, pcm)[:, :heard], rtol=0, atol=TOLERANCE
        )


def test_what_lies_behind_the_audio(features: Features) -> None:
    """Zeros follow a short recording, digital silence a long one; nothing follows a full one."""
    short, long, full = features.windows(
        [speech_like(80_000), speech_like(400_000), speech_like(WINDOW_SAMPLES)]
    ).to_numpy()
    assert (short[:, 500:] == 0).all()
    assert np.allclose(long[:, 2_500:], long[:, :2_500].max() - MEL_RANGE, atol=TOLERANCE)
    assert np.ptp(full[:, -100:]) > 0.1


@pytest.mark.parametrize(
    "pcm",
    [
        np.zeros(16_000, np.int16),
        np.full(16_000, -32_768, np.int16),
        np.tile(np.array([32_767, -32_768], np.int16), 8_000),
        np.eye(1, 16_000, 5_000, dtype=np.int16)[0] * 32_767,
    ],
    ids=["silence", "offset", "square", "click"],
)
def test_extremes_equal_the_reference(
    features: Features, extractor: FeatureExtractor, pcm: Pcm
) -> None:
    """Silence, the lowest sample, full swing and a single click give the reference's values."""
    [window] = features.windows([pcm]).to_numpy()
    np.testing.assert_allclose(window[:, :100], reference(extractor, pcm), atol=TOLERANCE)


@settings(max_examples=10)
@given(lengths=st.lists(st.integers(0, 60_000), min_size=1, max_size=5))
@pytest.mark.parametrize("name", ["numpy", pytest.param("torch", marks=needs_torch)])
def test_a_window_does_not_depend_on_its_batch(name: str, lengths: list[int]) -> None:
    """Alone or beside others of any length, a recording has the same features."""
    features = choose_features(name, "cpu", FeatureExtractor())
    recordings = [speech_like(length, seed=length) for length in lengths]
    together = features.windows(recordings).to_numpy()
    for pcm, window in zip(recordings, together, strict=True):
        [alone] = features.windows([pcm]).to_numpy()
        np.testing.assert_allclose(window, alone, rtol=0, atol=1e-5)


def test_storage_has_the_chosen_windows(features: Features) -> None:
    """CTranslate2 sees the windows that were asked for, in that order, all or some of them."""
    windows = features.windows([speech_like(length) for length in (16_000, 32_000, 48_000)])
    for indices in ([0, 1, 2], [2, 0], [1]):
        shown = np.array(windows.storage(indices))
        np.testing.assert_array_equal(shown, windows.to_numpy()[indices])


@pytest.mark.skipif(not _torch_has_cuda(), reason="there is no GPU that torch can use")
def test_a_gpu_gives_the_same_windows() -> None:
    """Computed on a GPU and read by CTranslate2 there, windows equal those of the CPU."""
    from ctranslate2 import Device

    recordings = [speech_like(length) for length in LENGTHS]
    expected = NumpyFeatures(FeatureExtractor()).windows(recordings).to_numpy()
    windows = choose_features("auto", "cuda", FeatureExtractor()).windows(recordings)
    for indices in (list(range(len(LENGTHS))), [3, 1]):
        shown = np.array(windows.storage(indices).to_device(Device.cpu))
        np.testing.assert_allclose(shown, expected[indices], rtol=0, atol=TOLERANCE)


def test_more_windows_than_a_group(name: str) -> None:
    """A batch larger than what is computed at once loses none and keeps their order."""
    features = choose_features(name, "cpu", FeatureExtractor())
    recordings = [speech_like(800, seed=number) for number in range(40)]
    found = features.windows(recordings).to_numpy()
    [last] = features.windows(recordings[-1:]).to_numpy()
    assert len(found) == 40
    np.testing.assert_allclose(found[-1], last, rtol=0, atol=1e-5)


def test_numpy_is_taken_on_a_cpu() -> None:
    """On a CPU 'auto' never imports torch, whether it is there or not."""
    assert isinstance(choose_features("auto", "cpu", FeatureExtractor()), NumpyFeatures)


def test_numpy_is_taken_beside_a_gpu_that_torch_cannot_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without torch, or with a torch that has no CUDA, 'auto' goes on with numpy."""
    monkeypatch.setattr("longform.speech.features.choose._torch_has_cuda", lambda: False)
    assert isinstance(choose_features("auto", "cuda", FeatureExtractor()), NumpyFeatures)


def test_torch_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asking for torch where it is missing says how to install it and how to do without."""
    monkeypatch.setattr("longform.speech.features.choose.find_spec", lambda name: None)
    with pytest.raises(EnvironmentFaultError, match=r"longform\[gpu\].*LONGFORM_FEATURES=numpy"):
        choose_features("torch", "cpu", FeatureExtractor())
