"""The moments of a run at which it is ended if it lies too far behind its parent."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean

from msgspec.structs import replace

from swarm.execution.reading.progress import read_heartbeats
from swarm.records import Checkpoint, Failure, Progress, Run


class Checkpoints:
    """Those of one run, the next one first. What cannot be read ends nothing: it is a failure once the run is over."""

    def __init__(self, checkpoints: tuple[Checkpoint, ...]) -> None:
        self._left, self._why = list(checkpoints), ""

    def due(self, progress: Progress) -> bool:
        """Whether the run has come to the next checkpoint, and still trains."""
        return bool(self._left) and progress.phase == "training" and progress.seconds > self._left[0].end

    def failed(self, heartbeat: Path) -> bool:
        """Whether the run is to be ended at the checkpoint that it has come to."""
        here = self._left.pop(0)
        beats = ((beat.seconds, beat.loss) for beat in read_heartbeats(heartbeat))
        losses = [
            loss
            for seconds, loss in beats
            if seconds is not None and loss is not None and here.begin < seconds <= here.end
        ]
        if not losses or not (loss := fmean(losses)) > here.most:
            return False
        self._left.clear()
        self._why = (
            f"ended after {here.end:.4g} s of training, without a number: its loss was {loss:.5g} from {here.begin:.4g}"
            f" s on, and by the full curves of this swarm no run above {here.most:.5g} ends better than its parent"
        )
        return True

    def settled(self, run: Run) -> Run:
        """The run as it ended: a futile one where it was ended here, and by nothing else meanwhile."""
        if not self._why or run.failure is not Failure.INTERRUPTED:
            return run
        return replace(run, failure=Failure.FUTILE, reason=self._why)
