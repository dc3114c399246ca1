"""Several processes that make clips, each with models and processor cores of its own.

A worker takes an order at a time from a pipe and answers with shares of it, from 0 to 1, and at last with the
clip or why there is none. All of that is JSON. Workers write only into the folder of what is being made, so
that one which outlives its parent for a moment harms nothing.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from pathlib import Path
from threading import Thread
from typing import cast

from kineograph.batch.folder import Made
from kineograph.batch.orders import Order, Outcome
from kineograph.config import from_dict

TRIES = 2
_RESULTS: dict[str, type[Made] | type[Outcome]] = {"Made": Made, "Outcome": Outcome}


def make_all(
    orders: Sequence[Order], making: Path, workers: int, tell: Callable[[int, float], None]
) -> Iterator[Made | Outcome]:
    """What comes of each order, as it comes. The order of a worker that dies is tried once more.

    Args:
        orders: what to make; rows are unique.
        making: the folder to make it in.
        workers: the most processes, at least 1.
        tell: hears the row and the share of it that is done.
    """
    waiting, deaths = deque(orders), Counter[int]()
    busy: dict[Connection, _Worker] = {}
    try:
        while waiting or busy:
            while waiting and len(busy) < workers:
                worker = _Worker(making, workers)
                busy[worker.connection] = worker
                worker.give(waiting.popleft())
            for connection in cast(list[Connection], wait(list(busy))):
                worker = busy[connection]
                order, heard = worker.order, worker.hear()
                if isinstance(heard, float):
                    tell(order.row, heard)
                    continue
                alive = heard is not None
                deaths[order.row] += not alive
                if alive and waiting:
                    worker.give(waiting.popleft())
                else:
                    busy.pop(connection).end()
                if not alive and deaths[order.row] < TRIES:
                    waiting.appendleft(order)
                else:
                    yield heard or _died(order, worker)
    finally:
        for worker in busy.values():
            worker.end()


def _died(order: Order, worker: _Worker) -> Outcome:
    code = worker.process.exitcode or 0
    how = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
    reason = f"The process that made it ended {how}, {TRIES} times: try fewer workers, they share the memory."
    return Outcome(order.row, order.name, "failed", reason=reason)


class _Worker:
    """A process at work on `order`, as seen by its parent."""

    order: Order

    def __init__(self, making: Path, workers: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(theirs, making, workers), daemon=True)
        with _without_interrupts():
            self.process.start()
        theirs.close()  # so that the pipe ends when the process does

    def give(self, order: Order) -> None:
        self.order = order
        with suppress(BrokenPipeError):  # that it died is heard next
            self.connection.send_bytes(order.to_json().encode())

    def hear(self) -> float | Made | Outcome | None:
        """What it says, None if it died."""
        try:
            values = json.loads(self.connection.recv_bytes())
        except (EOFError, ConnectionResetError):
            return None
        if isinstance(values, float):
            return values
        kind, fields = values
        return from_dict(_RESULTS[kind], fields)

    def end(self) -> None:
        self.process.terminate()
        self.process.join()
        self.connection.close()


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Processes that start here never hear of Ctrl-C, which a terminal sends to all: their parent does."""
    resource_tracker.ensure_running()  # or it would be started below, and unblock
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


# In the worker


def _work(connection: Connection, making: Path, workers: int) -> None:
    """Make what comes through the pipe until it is closed."""
    Thread(target=_end_with_parent, daemon=True).start()
    import torch

    from kineograph.batch.making import Maker

    torch.set_num_threads(max(1, torch.get_num_threads() // workers))
    maker = Maker(making)
    with suppress(EOFError, BrokenPipeError):
        while True:
            order = Order.from_json(connection.recv_bytes().decode())
            made = maker.make(order, lambda share: connection.send_bytes(json.dumps(share).encode()))
            answer = [type(made).__name__, asdict(made)]
            connection.send_bytes(json.dumps(answer).encode())


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
