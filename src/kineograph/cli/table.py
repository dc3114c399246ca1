"""A table of clips to make: rows from a file, a template that they fill, and the orders that come of both."""

from __future__ import annotations

import csv
import io
import itertools
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from kineograph import catalog
from kineograph.batch.folder import SUMMARY
from kineograph.batch.orders import Order, Outcome
from kineograph.cli.generate import keyframe_of, size_of, waypoint_of
from kineograph.cli.output import read_text, slug
from kineograph.controls import SUCH
from kineograph.errors import KineographError, RequestError
from kineograph.provenance.marking import MARKED, Marking
from kineograph.request import FILES, FLAGS, SEVERAL, Keyframe, Request, box_of

LONGEST_NAME, MOST_BYTES = 100, 240  # letters; what a file system takes, less its suffixes
LENGTHS = ("frames", "seconds")
NUMBERS = ("extend", "interpolate", "edit", "frames", "seconds", "fps", "steps", "guidance", "seed")
OTHERS = ("prompt", "model", "image", "then", "fit", "size", "camera", "actions", *FILES, *FLAGS, *SEVERAL)
FIELDS = (*OTHERS, *NUMBERS)  # columns of a request
_PIECE = re.compile(r"[^{}]+|\{\{|\}\}|\{([^{}]+)\}")


@dataclass(frozen=True)
class Row:
    """What a row has in each column; rows are numbered from 1."""

    number: int
    values: Mapping[str, object]


# From a file to rows


def read_rows(path: Path) -> list[Row]:
    """The rows of a .csv or .jsonl file; empty lines are passed over.

    Raises:
        RequestError: it can't be read, or is not the table that its name says.
    """
    readers = {".csv": _csv_rows, ".jsonl": _jsonl_rows}
    if path.suffix.lower() not in readers:
        raise RequestError(f"{path} must be a table, .csv or .jsonl.")
    found = readers[path.suffix.lower()](path, read_text(path).removeprefix("\ufeff"))
    rows = list(map(Row, itertools.count(1), found))
    if not rows:
        raise RequestError(f"{path} holds no rows: give one for each clip.")
    return rows


def _jsonl_rows(path: Path, text: str) -> Iterator[dict[str, object]]:
    for number, line in enumerate(text.split("\n"), 1):  # splitlines would also cut inside of texts
        if line.strip():
            yield _json_object(f"{path}, line {number}", line)


def _json_object(where: str, line: str) -> dict[str, object]:
    try:
        values = json.loads(line, parse_constant=_no_number, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise RequestError(f"{where}, is not valid JSON: {error}.") from error
    if not isinstance(values, dict):
        raise RequestError(f'{where}, must be a JSON object, such as {{"prompt": "a red ball"}}.')
    return values


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    if twice := _repeated(name for name, _ in pairs):
        raise ValueError(f"{twice[0]} is given twice")
    return dict(pairs)


def _csv_rows(path: Path, text: str) -> Iterator[dict[str, object]]:
    reader = csv.reader(io.StringIO(text), strict=True, skipinitialspace=True)
    try:
        header = [name.strip() for name in next(filter(any, reader), [])]
        _check_header(path, header)
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(header):
                raise RequestError(
                    f"{path}, line {reader.line_num}, has {len(cells)} cells where the header has "
                    f"{len(header)}: put cells with a comma in quotes."
                )
            yield dict(zip(header, cells, strict=True))
    except csv.Error as error:
        raise RequestError(f"{path}, line {reader.line_num}, is not valid CSV: {error}.") from error


def _check_header(path: Path, header: list[str]) -> None:
    if len(header) == 1 and re.search("[;\t]", header[0]):
        raise RequestError(f"The columns of {path} must be separated by commas.")
    if twice := _repeated(header):
        raise RequestError(f"The header of {path} has the column {twice[0]!r} twice: name them apart.")
    if "" in header:
        raise RequestError(f"The header of {path} has a column without a name: name it.")


def _repeated(names: Iterable[str]) -> list[str]:
    return [name for name, count in Counter(names).items() if count > 1]


# The template


@dataclass(frozen=True)
class Template:
    """Text in which {column} stands for what a row has there; {{ and }} are braces."""

    text: str

    def __post_init__(self) -> None:
        if _PIECE.sub("", self.text):
            raise RequestError(
                "A brace of the template stands alone: write {column} for a row's value, {{ for a brace."
            )

    @property
    def columns(self) -> set[str]:
        """The columns that a row must have."""
        return {match[1] for match in _PIECE.finditer(self.text) if match[1]}

    def fill(self, values: Mapping[str, object]) -> str:
        """The text with a row's values put in.

        Raises:
            RequestError: the row lacks a column, or has something else there than text or a number.
        """

        def filled(match: re.Match[str]) -> str:
            return _text(match[1], values) if match[1] else match[0].replace("{{", "{").replace("}}", "}")

        return _PIECE.sub(filled, self.text)


def _text(column: str, values: Mapping[str, object]) -> str:
    if column not in values:
        known = ", ".join(values) or "none"
        raise RequestError(f"The template asks for {{{column}}}, which is no column: there are {known}.")
    value = values[column]
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise RequestError(f"The template takes text or a number from {{{column}}}, not {json.dumps(value)}.")
    return str(value)


# From rows to orders


@dataclass(frozen=True)
class Plan:
    """How rows become orders: what is common to all, the folder that their paths start from, and the marks.

    A column that the template asks for, such as size, is no field of the request, but name is the file's too.
    """

    template: Template | None
    common: Mapping[str, Any]
    folder: Path
    suffix: str
    marking: Marking = MARKED
    consent: str | None = None

    def orders(self, rows: Sequence[Row]) -> list[Order | Outcome]:
        """An order for each row, or a failed outcome for one that can't be.

        Raises:
            RequestError: two rows have the same name.
        """
        planned = [self._order(row) for row in rows]
        if twice := _repeated(one.name for one in planned if one.name):
            numbers = [str(one.row) for one in planned if one.name == twice[0]]
            raise RequestError(
                f"The rows {', '.join(numbers)} have the same name, {twice[0]}: name them apart."
            )
        return planned

    @property
    def asked(self) -> set[str]:
        """The columns that the template asks for."""
        return self.template.columns if self.template else set()

    def unused(self, rows: Sequence[Row]) -> list[str]:
        """The columns that nothing asks for."""
        used = {"name", *FIELDS, *self.asked}
        return list(dict.fromkeys(column for row in rows for column in row.values if column not in used))

    def _order(self, row: Row) -> Order | Outcome:
        name = ""
        try:
            name = _name(row.values.get("name"))
            request = self._request(row)
        except KineographError as error:
            return Outcome(row.number, name, "failed", reason=str(error))
        name = name or f"{row.number:04d}-{slug(request.prompt)}"
        return Order(row.number, name, self.suffix, request, marking=self.marking, consent=self.consent)

    def _request(self, row: Row) -> Request:
        own = {
            "images" if column == "image" else column: _read(column, value, self.folder)
            for column in FIELDS
            if column not in self.asked and (value := row.values.get(column)) not in ("", None)
        }
        if self.template and "prompt" not in own:
            own["prompt"] = self.template.fill(row.values)
        length_follows = not own.keys().isdisjoint((*LENGTHS, "video"))
        common = {k: v for k, v in self.common.items() if not (length_follows and k in LENGTHS)}
        return Request(**common | own)


def _name(value: object) -> str:
    """A row's own name; empty if it has none."""
    name = "" if value is None else str(value).strip()
    plain = re.fullmatch(r"[^\W_][\w .,()+=@-]*", name) and not name.endswith((".", ".job"))
    too_long = len(name) > LONGEST_NAME or (plain and len(name.encode()) > MOST_BYTES)
    if name and (not plain or too_long or name == Path(SUMMARY).stem):
        raise RequestError(
            f"The name {name[:LONGEST_NAME]!r} can't be a file's: "
            f"take up to {LONGEST_NAME} letters, digits, hyphens and spaces."
        )
    return name


def _read(column: str, value: object, folder: Path) -> object:
    """A value as a request takes it. What is wrong is left as it is, for the request to refuse."""
    if column == "image":
        return _images(value, folder)
    if column == "then":
        return tuple(map(waypoint_of, _texts(column, "PROMPT@SECONDS", value)))
    if column in SEVERAL:
        texts = _texts(column, SUCH.get(column, "FILE"), value)
        return tuple(_beside(folder, text) if column == "style" else text for text in texts)
    if not isinstance(value, str):
        return tuple(value) if column == "size" and isinstance(value, list) else value
    if column in NUMBERS:
        return _number(value)
    if column == "size":
        return size_of(value)
    if column in FLAGS:
        return {"true": True, "false": False}.get(value.strip().lower(), value)
    if column == "model":
        return value if value in catalog.names() else str(catalog.folder_of(_beside(folder, value)))
    is_path = column in FILES and not (column == "mask" and box_of(value))
    return _beside(folder, value) if is_path else value


def _number(text: str) -> object:
    for kind in (int, float):
        with suppress(ValueError):
            return kind(text)
    return text


def _images(value: object, folder: Path) -> tuple[Keyframe, ...]:
    texts = _texts("image", "FILE or FILE@SECONDS", value)
    return tuple(keyframe_of(_beside(folder, text)) for text in texts)


def _texts(column: str, such: str, value: object) -> list[str]:
    """One text or several, between semicolons or in a list."""
    texts = [text.strip() for text in value.split(";")] if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(text, str) and text for text in texts):
        raise RequestError(f"{column} must be {such}, or a list of such, not {json.dumps(value)[:80]}.")
    return texts


def _beside(folder: Path, path: str) -> str:
    return str((folder / path).absolute())
