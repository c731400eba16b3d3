"""OpenAI's `diarized_json` (https://platform.openai.com/docs/api-reference/audio)."""

import json
import math

from longform.transcript.formats.rendering import Rendering
from longform.transcript.speaker_label import voice


class DiarizedJsonFormat:
    """The text, and who says which part of it; a voice that is not known is ""."""

    suffix = ".diarized.json"

    def render(self, rendering: Rendering) -> str:
        """Return the document: valid JSON, UTF-8 as it is."""
        output = rendering.output
        document = {
            "task": output.task,
            "duration": output.input_duration_sec,
            "text": output.text,
            "segments": [
                {
                    "type": "transcript.text.segment",
                    "id": f"seg_{segment.id}",
                    "start": segment.start_time_sec,
                    "end": segment.end_time_sec,
                    "text": segment.text,
                    "speaker": voice(segment),
                }
                for segment in output.segments
            ],
            "usage": {"type": "duration", "seconds": math.ceil(output.input_duration_sec)},
        }
        return json.dumps(document, ensure_ascii=False, allow_nan=False) + "\n"
