"""The folder of a batch.

OUT/NAME.mp4         a clip, whole or not there
OUT/NAME.webm.c2pa   its signature, where the container has no room for it
OUT/NAME.job.json    its private record, from which it can be made again alone
OUT/NAME.json        its manifest, written last: a row with one that fits is done
OUT/summary.json     what came of each row, once a batch has ended
OUT/.making-*        what is being made; gone when a batch ends, or begins
OUT/.lock            held while a batch is at work
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kineograph import catalog
from kineograph.batch.orders import Order, Summary
from kineograph.config import from_dict
from kineograph.errors import KineographError, ModelError, OutputError, RequestError
from kineograph.lock import locked
from kineograph.media.atomic import explaining, replacing
from kineograph.provenance.claim import Job
from kineograph.provenance.manifests import needs_sidecar, sidecar_of

SUMMARY = "summary.json"
JOB = ".job.json"
_MAKING = ".making-"


@dataclass(frozen=True)
class Manifest:
    """A clip that is done: what was asked, what came out and what it took.

    `hash` is the order's, `sha256` the file's; `seconds` of work, `evaluations` of the network; `notes` say
    what there is to know of it.
    """

    status: str
    row: int
    name: str
    file: str
    sha256: str
    hash: str
    request: dict[str, Any]
    model: str
    weights_hash: str
    frames: int
    width: int
    height: int
    fps: float
    seconds: float
    evaluations: int
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Made:
    """A clip that was made and waits to be put into its place, with the text of its job record."""

    manifest: Manifest
    job: str


@contextmanager
def opened(out: Path) -> Iterator[Path]:
    """Hold the folder `out`, made if it isn't there, and give a folder in it for what is being made.

    Raises:
        RequestError: another batch holds it.
        OutputError: it can't be written, or its summary is not a batch's.
    """
    with ExitStack() as stack:
        with explaining(out):
            stack.enter_context(locked(out, "batch"))
            for left in out.glob(f"{_MAKING}*"):  # by a batch that was killed
                shutil.rmtree(left, ignore_errors=True)
            making = stack.enter_context(tempfile.TemporaryDirectory(prefix=_MAKING, dir=out))
            _clear_summary(out / SUMMARY)
        yield Path(making)


def _clear_summary(path: Path) -> None:
    """A summary tells of a batch that has ended, so there is none while another is at work."""
    if path.exists() and "not_reached" not in _object(path):
        raise OutputError(f"{path} is not a batch's: choose another folder.")
    path.unlink(missing_ok=True)


def write_summary(out: Path, making: Path, summary: Summary) -> None:
    """Write the summary. Raises OutputError."""
    _write(making / SUMMARY, json.dumps(asdict(summary), indent=1))
    _place(SUMMARY, making, out)


# What is done


def read(out: Path, name: str) -> Manifest | None:
    """The manifest of the clip `name`; None if there is none.

    Raises:
        OutputError: a file that is no manifest stands in its place.
    """
    path = out / f"{name}.json"
    if not path.exists():
        return None
    try:
        return from_dict(Manifest, _object(path))
    except RequestError as error:
        raise OutputError(f"{path} is no manifest: move it away, or choose another name.") from error


def is_done(out: Path, order: Order, manifest: Manifest) -> bool:
    """Whether the clip is what `order` asks for, whole, and made from files that are still the same."""
    try:
        same = (manifest.hash, manifest.file) == (order.hash, order.file)
        if not same or digest(out / order.file) != manifest.sha256 or not _has_signature(out, order):
            return False
        Job.from_json((out / f"{order.name}{JOB}").read_text(encoding="utf-8")).check_inputs()
    except (OSError, UnicodeDecodeError, KineographError):
        return False
    return True


def _has_signature(out: Path, order: Order) -> bool:
    """Whether a signature that belongs beside the clip is there."""
    clip = out / order.file
    return not (order.marking.sign and needs_sidecar(clip)) or sidecar_of(clip).is_file()


def others(out: Path, names: set[str]) -> tuple[str, ...]:
    """The clips in the folder that are none of `names`, from an earlier table."""
    stems = {path.stem for path in out.glob("*.json") if not path.name.endswith(JOB)} - names
    manifests = {stem: _object(out / f"{stem}.json") for stem in sorted(stems)}
    return tuple(stem for stem, values in manifests.items() if {"hash", "sha256"} <= values.keys())


def publish(out: Path, making: Path, made: Made) -> None:
    """Put a clip into its place, with its job beside it and the manifest last. Raises OutputError."""
    job, manifest = f"{made.manifest.name}{JOB}", f"{made.manifest.name}.json"
    _write(making / job, made.job)
    _write(making / manifest, json.dumps(asdict(made.manifest), indent=1))
    beside = sidecar_of(Path(made.manifest.file)).name
    signed = [beside] if (making / beside).exists() else []
    for file in (made.manifest.file, *signed, job, manifest):
        _place(file, making, out)
    if not signed and needs_sidecar(out / made.manifest.file):  # one of a clip that was replaced
        with explaining(out / beside):
            (out / beside).unlink(missing_ok=True)


def _place(file: str, making: Path, out: Path) -> None:
    with explaining(out / file):
        (making / file).replace(out / file)


# Hashes


def fingerprint(order: Order, model_hash: str) -> str:
    """One SHA-256 over the whole request, the kind of file, its marks and the model's files."""
    marks = {"marking": asdict(order.marking), "consent": order.consent}
    asked = {"request": json.loads(order.request.to_json()), "suffix": order.suffix}
    whole = asked | marks | {"model": model_hash}
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()


def model_hash(name: str) -> str:
    """One SHA-256 over the files of a model, which is not loaded.

    Raises:
        ModelError: there is no such model, or its files can't be read.
    """
    folder = catalog.folder_of(name)
    try:
        digests = [digest(path) for path in (folder / "config.json", *sorted(folder.glob("*.safetensors")))]
    except OSError as error:
        raise ModelError(f"The files of {name} can't be read, {error.strerror}: get it again.") from error
    return hashlib.sha256("".join(digests).encode()).hexdigest()


def digest(path: Path) -> str:
    """The SHA-256 of a file. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# Files of JSON


def _object(path: Path) -> dict[str, Any]:
    """The JSON object in a file, empty if it holds none."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}


def _write(path: Path, text: str) -> None:
    """Write for the owner alone, as prompts are private."""
    with replacing(path) as part, explaining(path):
        part.chmod(0o600)
        part.write_text(text + "\n", encoding="utf-8")
