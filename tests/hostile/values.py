"""Values that stand where others are expected, in files of JSON and of safetensors."""

from __future__ import annotations

import json
import math
import random
import struct
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

DEEP = 50_000
Path = tuple[str | int, ...]

WRONG: dict[str, Any] = {
    "nothing": None,
    "true": True,
    "minus one": -1,
    "zero": 0,
    "one": 1,
    "a billion": 10**9,
    "ten to the 30th": 10**30,
    "a half": 0.5,
    "no number": math.nan,
    "without end": math.inf,
    "backwards without end": -math.inf,
    "empty": "",
    "words": "a b c",
    "a path upwards": "../../../../etc/passwd",
    "a path from the root": "/etc/passwd",
    "a path with a null": "a\0b",
    "turned letters": "\u202egnp.a",
    "an escape": "\x1b[2J\x1b]0;x\7",
    "a surrogate": "\ud800",
    "a megabyte": "a" * (1 << 20),
    "a list": [],
    "a list of itself": [[[[]]]],
    "a long list": [1] * 100_000,
    "an object": {},
    "an object of names": {"__class__": "x", "__init__": {}, "self": 1},
}


def places(value: Any, path: Path = ()) -> Iterator[Path]:
    """Where something stands in a JSON value, long lists by their first item alone."""
    if path:
        yield path
    if isinstance(value, dict):
        for name in value:
            yield from places(value[name], (*path, name))
    elif isinstance(value, list) and value:
        yield from places(value[0], (*path, 0))


def put(value: Any, path: Path, new: Any) -> Any:
    """A copy with `new` at that place."""
    copied = deepcopy(value)
    at = copied
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = new
    return copied


def taken_out(value: Any, path: Path) -> Any:
    copied = deepcopy(value)
    at = copied
    for step in path[:-1]:
        at = at[step]
    del at[path[-1]]
    return copied


def wrong_json(sound: Any) -> Iterator[tuple[str, bytes]]:
    """Texts of JSON, each wrong in one place or as a whole, by what is wrong."""
    for path in places(sound):
        where = ".".join(map(str, path))
        yield f"{where} left out", text(taken_out(sound, path))
        for what, value in WRONG.items():
            yield f"{where} is {what}", text(put(sound, path, value))
    yield from wrong_texts(sound)


def text(value: Any) -> bytes:
    return json.dumps(value).encode()


def wrong_texts(sound: Any) -> Iterator[tuple[str, bytes]]:
    whole = text(sound)
    for share in (0.0, 0.1, 0.5, 0.99):
        yield f"{share:g} of it", whole[: int(len(whole) * share)]
    yield "deep lists", b"[" * DEEP
    yield "deep objects", b'{"a":' * DEEP
    yield "deep in a place", whole[:-1] + b', "more": ' + b"[" * DEEP + b"]" * DEEP + b"}"
    yield "a list", b"[" + whole + b"]"
    yield "a text", b'"a"'
    yield "a number", b"1"
    yield "null", b"null"
    yield "no UTF-8", b"\xff\xfe" + whole
    yield "UTF-16", whole.decode().encode("utf-16")
    yield "nulls", bytes(4096)
    yield "a number of many digits", whole[:-1] + b', "more": ' + b"9" * 100_000 + b"}"
    yield "an unknown name", whole[:-1] + b', "more": 1}'
    yield "a name twice", whole[:-1] + b"," + whole[1:]
    yield "code", b"__import__('os').system('true')"
    yield "yaml", b"!!python/object/apply:os.system ['true']"
    yield "pickle", b"\x80\4cos\nsystem\n(S'true'\ntR."


# Safetensors: eight bytes that tell how long the header is, the header in JSON, then the numbers.


def split(data: bytes) -> tuple[dict[str, Any], bytes]:
    length = struct.unpack("<Q", data[:8])[0]
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def join(header: Any, numbers: bytes) -> bytes:
    head = header if isinstance(header, bytes) else text(header)
    return struct.pack("<Q", len(head)) + head + numbers


Edit = Callable[[dict[str, Any]], None]


def wrong_tensors(data: bytes, seed: int) -> Iterator[tuple[str, bytes]]:
    """Files of safetensors, each wrong in its own way."""
    for share in (0.0, 0.001, 0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99, 0.9999):
        yield f"{share:g} of it", data[: int(len(data) * share)]
    for length in (0, 1, 7, 10**6, 10**8 + 1, 2**31, 2**32, 2**63 - 1, 2**63, 2**64 - 1):
        yield f"a header of {length}", struct.pack("<Q", length) + data[8:]
    header, numbers = split(data)
    for what, wrong in wrong_texts(header):
        yield f"a header of {what}", join(wrong, numbers)
    for what, edited in edits(header).items():
        yield what, join(edited, numbers)
    yield "more numbers than told", data + bytes(4096)
    yield from flipped(data, seed)
    yield from not_finite(header, numbers)


def edits(header: dict[str, Any]) -> dict[str, Any]:
    """Headers that don't tell the truth about one tensor."""
    name = max((n for n in header if n != "__metadata__"), key=lambda n: len(header[n]["shape"]))
    told = header[name]
    start, end = told["data_offsets"]
    count = math.prod(told["shape"])
    kinds = ("F64", "F32", "F16", "I64", "I8", "U8", "BOOL", "C64", "F8_E4M3", "F4", "O", "", 7, None)
    shapes: list[Any] = [
        [], [count], [1, count], [count, 1], [2**63], [2**32, 2**32], [-1, -count], [0], [0.5], ["a"],
        None, {}, told["shape"][::-1], [1] * 5000,
    ]  # fmt: skip
    offsets: list[Any] = [
        [0, 0], [end, start], [start, end + 1], [start + 1, end + 1], [-1, end], [start, 2**63], [start],
        [], None, [0, 2**64 - 1], ["0", "1"], [start, end - 2],
    ]  # fmt: skip
    names = ("../../escaped", "/etc/passwd", "a\0b", "", "__class__", "a" * 100_000, "\u202ea", name + ".x")
    return {
        **{f"dtype {kind}": header | {name: told | {"dtype": kind}} for kind in kinds},
        **{f"shape {str(shape)[:30]}": header | {name: told | {"shape": shape}} for shape in shapes},
        **{f"offsets {offset}": header | {name: told | {"data_offsets": offset}} for offset in offsets},
        **{f"called {new[:20]!r}": {new if n == name else n: v for n, v in header.items()} for new in names},
        "one tensor less": {n: v for n, v in header.items() if n != name},
        "one tensor more": header | {"another": told | {"data_offsets": [end, end], "shape": [0]}},
        "two that overlap": header | {"another": told},
        "metadata of numbers": header | {"__metadata__": {"a": 1}},
        "megabytes of metadata": header | {"__metadata__": {"a": "b" * (8 << 20)}},
        "a million tensors": {
            f"t{n}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for n in range(50_000)
        },
        "no tensors": {},
    }


def flipped(data: bytes, seed: int) -> Iterator[tuple[str, bytes]]:
    draw = random.Random(seed)
    head = 8 + struct.unpack("<Q", data[:8])[0]
    for number in range(30):
        bad = bytearray(data)
        for _ in range(4):
            bad[draw.randrange(head if number < 20 else len(bad))] ^= 1 << draw.randrange(8)
        yield f"bits flipped, {number}", bytes(bad)


def not_finite(header: dict[str, Any], numbers: bytes) -> Iterator[tuple[str, bytes]]:
    patterns = {"BF16": {"NaN": b"\xc0\x7f", "endless": b"\x80\x7f"}, "F32": {"NaN": b"\0\0\xc0\x7f"}}
    for kind, values in patterns.items():
        found = [
            told["data_offsets"]
            for n, told in header.items()
            if n != "__metadata__" and told["dtype"] == kind
        ]
        for what, value in values.items():
            for place in (0, -1) if found else ():
                start = found[place][0]
                yield (
                    f"{what} in {kind} {place}",
                    join(header, numbers[:start] + value + numbers[start + len(value) :]),
                )
