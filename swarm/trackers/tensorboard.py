# pyright: reportMissingImports=false, reportAttributeAccessIssue=false
"""TensorBoard: one folder of event files per experiment.

tensorboard --logdir .swarm/apr5/tensorboard
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from swarm.trackers.records import TrackedRun


class Tensorboard:
    """Sends to it; what it writes here goes below `folder`."""

    def __init__(self, tag: str, folder: Path) -> None:
        self._folder = folder

    def send(self, run: TrackedRun) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.plugins.hparams.summary_v2 import hparams_pb
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        place = self._folder / run.id
        shutil.rmtree(place, ignore_errors=True)  # of a process that was ended in the middle
        writer = EventFileWriter(str(place))
        for step, tag, number in scalars(run):
            scalar = Summary(value=[Summary.Value(tag=tag, simple_value=number)])
            writer.add_event(Event(wall_time=run.ended, step=step, summary=scalar))
        for summary in (hparams_pb(dict(run.config), trial_id=run.id, start_time_secs=run.started), verdict(run)):
            writer.add_event(Event(wall_time=run.ended, step=0, summary=summary))
        writer.close()


def scalars(run: TrackedRun) -> Iterator[tuple[int, str, float]]:
    """Step, tag and number of all that can be drawn."""
    for step, loss in enumerate(run.curve):
        yield step, "train/loss", loss
    for name, value in run.summary.items():
        if isinstance(value, (int, float)):
            yield 0, f"summary/{name}", float(value)


def verdict(run: TrackedRun) -> Any:
    """The words of the summary, as the text plugin shows them."""
    from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
    from tensorboard.compat.proto.tensor_pb2 import TensorProto
    from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto

    words = {name: value for name, value in run.summary.items() if isinstance(value, str)}
    text = "\n".join(f"    {name}: {json.dumps(value, ensure_ascii=False)}" for name, value in words.items())
    shape = TensorShapeProto(dim=[TensorShapeProto.Dim(size=1)])
    tensor = TensorProto(dtype="DT_STRING", string_val=[text.encode()], tensor_shape=shape)
    plugin = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="text"))
    return Summary(value=[Summary.Value(tag="verdict/text_summary", metadata=plugin, tensor=tensor)])
