# SPDX-License-Identifier: Apache-2.0
"""A run that goes on until somebody ends it: a kill, a full disk, a limit.

    endless_writer.py BASE               says "N" after each recorded round
    endless_writer.py BASE --until-full  says how it ended, as JSON

A round is one event and one line of output of the same number.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from windtunnel.errors import HostError
from windtunnel.model.event import Event
from windtunnel.store.run_dir import RunReader, RunWriter


def record_rounds(writer, *, aloud):
    output = writer.output("r1", "counter")
    for number in range(1_000_000):
        writer.event(Event(number * 1000, number, "step", "r1", {"text": "x" * 100}))
        output.write(b"round %d\n" % number, stderr=False)
        if aloud:
            sys.stdout.write(f"{number}\n")
            sys.stdout.flush()


def main(base, *, until_full):
    error = None
    try:
        with RunWriter.create(
            base, lab="endless", lab_text="name: endless\n", source_text=None, manifest={"seed": 1}
        ) as writer:
            record_rounds(writer, aloud=not until_full)
    except HostError as caught:
        error = caught
    reader = RunReader(writer.path)
    answer = {
        "message": error.message,
        "hint": error.hint,
        "state": reader.state,
        "recorded": reader.manifest.get("error"),
        "events": [event.sequence for event in reader.events()],
        "output": reader.read_output("r1", "counter").decode(),
        "left": sorted(entry.name for entry in writer.path.iterdir()),
    }
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main(Path(sys.argv[1]), until_full="--until-full" in sys.argv)
