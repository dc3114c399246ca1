"""Make what isn't made yet, and sum up."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from kineograph.batch import folder
from kineograph.batch.folder import Made
from kineograph.batch.making import Maker
from kineograph.batch.orders import Order, Outcome, Status, Summary
from kineograph.batch.workers import make_all
from kineograph.errors import KineographError, OutputError


def run(
    rows: Sequence[Order | Outcome], out: Path, workers: int, tell: Callable[[int, float], None]
) -> Generator[Outcome | Summary, None, None]:
    """Yield what comes of each row, as it comes, and the summary, which is also written.

    Clips that are done are skipped. Closing the iterator, or an interrupt, keeps all that is finished.

    Args:
        rows: orders with unique rows and names; rows that have failed already are passed on.
        out: the folder to make them in.
        workers: how many processes make clips; 1 is this one.
        tell: hears a row and what share of its clip is done, from 0 to 1, while it is being made.

    Raises:
        RequestError: another batch holds the folder.
        OutputError: the folder can't be written.
    """
    start = time.perf_counter()
    came: list[Outcome] = []
    with folder.opened(out) as making:
        try:
            for outcome in _outcomes(rows, out, making, workers, tell):
                came.append(outcome)
                yield outcome
        finally:
            others = folder.others(out, {row.name for row in rows})
            summary = Summary.of(rows, came, time.perf_counter() - start, others)
            folder.write_summary(out, making, summary)
        yield summary


def _outcomes(
    rows: Sequence[Order | Outcome], out: Path, making: Path, workers: int, tell: Callable[[int, float], None]
) -> Iterator[Outcome]:
    hashed = functools.cache(folder.model_hash)
    waiting: list[Order] = []
    for row in rows:
        known = row if isinstance(row, Outcome) else _known(row, out, hashed)
        if isinstance(known, Outcome):
            yield known
        else:
            waiting.append(known)
    with closing(_made(waiting, making, workers, tell)) as made:
        for result in made:
            yield result if isinstance(result, Outcome) else _published(result, out, making)


def _known(order: Order, out: Path, hashed: Callable[[str], str]) -> Order | Outcome:
    """That it is done, or can't be; else the order with its hash."""
    try:
        order = replace(order, hash=folder.fingerprint(order, hashed(order.request.model)))
        manifest = folder.read(out, order.name)
    except KineographError as error:
        return Outcome(order.row, order.name, "failed", reason=str(error))
    if manifest and folder.is_done(out, order, manifest):
        return Outcome(order.row, order.name, "skipped", order.file)
    return order


def _made(
    orders: Sequence[Order], making: Path, workers: int, tell: Callable[[int, float], None]
) -> Generator[Made | Outcome, None, None]:
    if workers > 1 and len(orders) > 1:
        yield from make_all(orders, making, min(workers, len(orders)), tell)
    elif orders:
        maker = Maker(making)
        for order in orders:
            yield maker.make(order, functools.partial(tell, order.row))


def _published(made: Made, out: Path, making: Path) -> Outcome:
    done = made.manifest
    again = folder.read(out, done.name) is not None
    try:
        folder.publish(out, making, made)
    except OutputError as error:
        return Outcome(done.row, done.name, "failed", reason=str(error))
    status: Status = "made again" if again else "made"
    return Outcome(done.row, done.name, status, done.file, "", done.seconds, done.evaluations, done.notes)
