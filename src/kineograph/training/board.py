"""The figures of a run for TensorBoard, which comes with `pip install 'kineograph[tensorboard]'`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kineograph.errors import RequestError
from kineograph.training.events import Event, Stepped


class Board:
    """Writes the steps among the events it is shown into `folder`, each stage as a run of its own.

    Raises:
        RequestError: TensorBoard is missing.
    """

    def __init__(self, folder: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise RequestError(
                "TensorBoard is missing: pip install 'kineograph[tensorboard]', or leave out --tensorboard."
            ) from error
        self._open = SummaryWriter
        self._folder = folder
        self._writers: dict[str, Any] = {}

    def show(self, event: Event) -> None:
        if not isinstance(event, Stepped):
            return
        step = event.step
        if event.stage not in self._writers:  # what an interrupted run wrote of later steps is dropped
            folder = str(self._folder / event.stage)
            self._writers[event.stage] = self._open(folder, purge_step=step.step)
        for name, value in {"loss": step.loss, "rate": step.rate, **step.metrics}.items():
            self._writers[event.stage].add_scalar(name, value, step.step)

    def close(self) -> None:
        for writer in self._writers.values():
            writer.close()
