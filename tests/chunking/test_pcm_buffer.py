"""The PCM buffer: absolute positions, exact bytes, and letting go."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longform.chunking.pcm_buffer import PcmBuffer
from longform.errors import InvariantError
from tests.support.pcm_streams import in_blocks


@given(st.lists(st.integers(1, 9), min_size=1, max_size=9), st.data())
def test_a_slice_is_the_slice_of_the_stream(lengths: list[int], data: st.DataObject) -> None:
    """Whatever was let go before it, a slice holds the stream's own samples."""
    pcm = np.arange(40, dtype=np.int16)
    buffer = PcmBuffer(100)
    for block in in_blocks(pcm, lengths):
        buffer.append(block)
    dropped = data.draw(st.integers(90, 140))
    buffer.drop_before(dropped)
    assert (buffer.start_sample, buffer.end_sample) == (max(dropped, 100), 140)
    start = data.draw(st.integers(buffer.start_sample, 140))
    end = data.draw(st.integers(start, 140))
    assert buffer.slice(start, end).tolist() == pcm[start - 100 : end - 100].tolist()
    assert buffer.take_before(end).tolist() == pcm[max(dropped, 100) - 100 : end - 100].tolist()
    assert buffer.start_sample == end


def test_what_is_not_held_is_an_error_and_not_a_shorter_slice() -> None:
    """Asking for samples that were let go, or have not arrived, breaks a law."""
    buffer = PcmBuffer(0)
    buffer.append(np.zeros(10, np.int16))
    buffer.drop_before(4)
    with pytest.raises(InvariantError, match="not in the buffer"):
        buffer.slice(3, 8)
    with pytest.raises(InvariantError, match="not in the buffer"):
        buffer.slice(5, 11)
