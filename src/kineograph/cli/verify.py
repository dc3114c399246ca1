"""`kineo verify`: where does a file come from, and can that be believed?"""

from __future__ import annotations

import html
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from kineograph import catalog
from kineograph.cli.output import print_json, say
from kineograph.errors import MediaError, ModelError, RequestError
from kineograph.provenance.story import printable

if TYPE_CHECKING:
    from kineograph.provenance.traces import Marked
    from kineograph.provenance.verify import Signed, Verdict

# Exit codes, the worst last; 2 is a file that can't be read.
TRUSTED, UNTRUSTED, WATERMARK_ONLY, UNMARKED, TAMPERED, UNREADABLE = RANKS = (0, 3, 5, 6, 4, 2)
PLACES = {"trusted": TRUSTED, "untrusted": UNTRUSTED, "tampered": TAMPERED}
PAGES = (".html", ".htm")
STATES = {
    "trusted": "signed and trusted",
    "untrusted": "signed but UNTRUSTED: whole, but nobody whom this machine trusts vouches for the signer",
    "tampered": "TAMPERED: the file is not as it was signed",
    "none": "none",
}


def verify(
    *files: Path,
    trust: Annotated[list[Path] | None, Parameter(negative=())] = None,
    thorough: Annotated[bool, Parameter(negative=())] = False,
    report: Path | None = None,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Say of videos and images how they were made and whether that can be believed. Needs no network.

    Exit codes: 0 signed and trusted, 3 signed but untrusted, 4 tampered, 5 no signature but a watermark, 6
    neither, 2 can't be read; of several files the worst.

    Examples:

        kineo verify ball.mp4

        kineo verify clips/*.mp4 --json

        kineo verify ball.mp4 --trust partner-root.pem

    Parameters
    ----------
    files
        Videos and images of anybody. A manifest beside a file, NAME.webm.c2pa, is read with it.
    trust
        A PEM file with roots to trust besides those of this machine; may be given several times.
    thorough
        Look for a watermark all over a clip, not in its first 32 frames alone; takes as long as to decode it.
    report
        Write what is said into this HTML file too.
    json
        Print one JSON object for each file; of one that can't be read its name and `error`.
    """
    if not files:
        raise RequestError("Name a file to verify, such as: kineo verify ball.mp4.")
    if report and report.suffix.lower() not in PAGES:  # else a clip named by mistake would be replaced
        raise RequestError(f"The report is a page: end its name in .html, unlike {report.name!r}.")
    codes, said = [], []
    for path in files:
        code, lines = _verify(path, trust or [], thorough, json)
        codes.append(code)
        said.append("\n".join(lines))
    if report:
        _write(report, said)
    return max(codes, key=RANKS.index)


def _verify(path: Path, trust: list[Path], thorough: bool, json: bool) -> tuple[int, list[str]]:
    """The exit code of one file, and what there is to say of it, which is also printed."""
    from kineograph.provenance.verify import verify

    try:
        verdict = verify(path, trust, thorough)
    except MediaError as error:
        say(f"error: {error}")
        if json:
            print_json({"path": str(path), "error": str(error), "exit_code": UNREADABLE})
        return UNREADABLE, [str(error)]
    code, lines = _code(verdict), list(_lines(verdict))
    if json:
        print_json(verdict.to_dict() | {"exit_code": code})
    else:
        print("\n".join(lines), flush=True)
    return code, lines


def _write(report: Path, said: list[str]) -> None:
    """A page without scripts, in which whatever a stranger's file says is text."""
    from kineograph.media.atomic import explaining, replacing

    parts = "\n".join(f"<pre>{html.escape(text)}</pre>" for text in said)
    page = f'<!doctype html><meta charset="utf-8"><title>kineo verify</title>\n{parts}\n'
    with replacing(report) as part, explaining(report):
        part.write_text(page, encoding="utf-8")


def _code(verdict: Verdict) -> int:
    if verdict.signed.signature == "none":
        return UNMARKED if verdict.watermark.payload is None else WATERMARK_ONLY
    return PLACES[verdict.signed.signature]


def _lines(verdict: Verdict) -> Iterator[str]:
    signed, mark = verdict.signed, verdict.watermark
    yield printable(verdict.path)
    yield f"  signature   {STATES[signed.signature]}{_by(signed)}"
    for fault in signed.faults:
        yield f"              fault: {fault}"
    warning = ["Not to be believed, as the file was changed:"] * (signed.signature == "tampered")
    for number, sentence in enumerate([*warning, *signed.story] if signed.story else []):
        yield f"  {'claims' if number == 0 else '':11s} {sentence}"
    yield from _watermark_lines(mark, signed)
    yield f"  metadata    {_metadata(verdict)}"


def _by(signed: Signed) -> str:
    by = f", by {signed.signer}" if signed.signer else ""
    return f"{by}, {signed.time}" if signed.time else by


def _watermark_lines(mark: Marked, signed: Signed) -> Iterator[str]:
    if mark.payload is None:
        yield "  watermark   not found, which proves nothing: it may be worn away, or never have been there"
    else:
        key = "a secret key" if mark.secret_key else "the public key"
        odds = f"1 in {1 / (mark.chance or 1e-300):.0e} by chance at most"
        yield f"  watermark   found, {mark.payload:08x} under {key}; {odds}"
        yield f"              it says: {_meaning(mark.payload)}"
        if signed.payload is not None:
            fits = "the one" if signed.payload == mark.payload else "NOT the one"
            yield f"              it is {fits} that the signed manifest names"
    if mark.limit:
        yield f"              {mark.limit}"


def _meaning(payload: int) -> str:
    """The model and seed of a payload, by the models that are here."""
    from kineograph.provenance.claim import payload_of

    seed = payload % 4096
    seeds = f"seed {seed} (or that and a multiple of 4096)"
    if payload >> 12 == 0:
        return "drawn by Kineograph without a model"
    for name in catalog.names():
        try:
            if payload_of(catalog.hash_of(name), seed) == payload:
                return f"made by the model {name}, {seeds}"
        except ModelError:
            continue
    return f"made by a model that isn't here, number {payload >> 12:05x}, {seeds}"


def _metadata(verdict: Verdict) -> str:
    if not verdict.metadata:
        return "no claim"
    kinds = {"comment": "a claim of Kineograph", "aigc": "an AIGC label"}
    names = " and ".join(kinds[name] for name in verdict.metadata)
    return f"{names}, which anybody could have written or changed"
