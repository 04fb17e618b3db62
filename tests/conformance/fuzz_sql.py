"""Coverage-guided SQL text for the embedded StarRocks.

python -m tests.conformance.fuzz_sql DIRECTORY RUNS

Every text is answered or refused with an SqlError; anything else ends the process with the text.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["embedded_starrocks"]):
    from tests.conformance.test_hostile_sql import PLACES, Guarded, pieces


def main(directory: Path, runs: int) -> None:
    guarded = Guarded(directory)
    words = pieces()

    def one(data: bytes) -> None:
        provider = atheris.FuzzedDataProvider(data)
        if provider.ConsumeBool():
            guarded.check(provider.ConsumeUnicodeNoSurrogates(200))
            return
        count = provider.ConsumeIntInRange(1, 16)
        text = " ".join(provider.PickValueInList(words) for _ in range(count))
        guarded.check(provider.PickValueInList(list(PLACES)).format(text))

    atheris.Setup(
        [
            sys.argv[0],
            f"-atheris_runs={runs}",
            f"-artifact_prefix={directory}/",
            "-max_len=400",
            "-verbosity=0",
        ],
        one,
    )
    atheris.Fuzz()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
