"""`make bench NAME=...`: the benchmarks that guard a goal, by name."""

import sys
from importlib import import_module

# Each is a module with a `main`, whose figures stand in docs/performance.md.
BENCHMARKS = {
    "quality": "word error rates next to faster-whisper alone (LONGFORM_MEDIA)",
    "speed": "wall, CPU and memory next to faster-whisper alone (LONGFORM_MEDIA)",
    "latency": "first words, a short clip, a deployment, a cold start (LONGFORM_MEDIA)",
    "cache": "a rerun of ten hours from the cache (LONGFORM_MEDIA)",
    "memory": "the peak of every process, by the length of the file (LONGFORM_MEDIA)",
    "orchestration": "what surrounds the engine: CPU by role, calls, records (LONGFORM_MEDIA)",
    "scale_out": "a long file over simulated GPUs (LONGFORM_MEDIA)",
    "pipelining": "how busy the engine is, and how full its batches (LONGFORM_MEDIA)",
    "backfill": "a thousand files in one bulk run (--database postgres, --subflows)",
    "access_modes": "windows next to one pass, from a throttled server (LONGFORM_MEDIA)",
    "decoding": "CPU of decoding next to plain ffmpeg (LONGFORM_MEDIA)",
    "page": "open and scroll the page of a ten-hour transcript in Chromium",
    "gpu": "faster-whisper, the engine and the pipeline on a GPU (LONGFORM_MEDIA)",
}


def main(arguments: list[str]) -> int:
    """Run the benchmark that the first argument names; without one, list them."""
    if not arguments:
        sys.stdout.writelines(f"  {name:14} {what}\n" for name, what in BENCHMARKS.items())
        return 0
    name, *rest = arguments
    if name not in BENCHMARKS:
        sys.stderr.write(f"no benchmark {name!r}; there are {', '.join(BENCHMARKS)}\n")
        return 2
    sys.argv = [f"benchmarks.{name}", *rest]
    return import_module(f"benchmarks.{name}").main() or 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
