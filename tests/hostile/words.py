"""Texts that somebody might give as a prompt, a name or a cell of a table."""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Iterator

SEED = 3
LEAST = 500

PATHS = (
    *(
        "../escaped",
        "../../../../etc/passwd",
        "/etc/passwd",
        "..",
        ".",
        "~",
        "~/.ssh/id_rsa",
        "a/../../b",
        "//a",
    ),
    *(
        "C:\\Windows\\a",
        "..\\..\\a",
        "\\\\server\\share",
        "file:///etc/passwd",
        "http://127.0.0.1:9/a",
        "-o /a",
    ),
    *(
        "a/b",
        "a\\b",
        "./a",
        ".hidden",
        "a.",
        "a ",
        " a",
        "...",
        "a\0/../b",
        "%2e%2e%2fa",
        "\uff0e\uff0e\uff0fa",
    ),
    *("\u2024\u2024\u2215a", "a:b", "a|b", "a*", "a?", "con", "NUL", "aux.mp4", "COM1", "lpt1.txt", "CLOCK$"),
    *(
        "summary",
        "summary.json",
        "a.job",
        "a.job.json",
        ".lock",
        ".making-x",
        ".kineograph-x",
        "x" * 255,
        "x" * 5000,
    ),
    *(
        "/dev/zero",
        "/dev/stdin",
        "/proc/self/mem",
        "/proc/self/fd/0",
        "$HOME/a",
        "%APPDATA%",
        "nul\n",
        "\u202egnp.a",
    ),
)
SHELL = (
    *(
        "; rm -rf /",
        "$(touch escaped)",
        "`touch escaped`",
        "| cat /etc/passwd",
        "&& true",
        "> escaped",
        "< a",
    ),
    *(
        "a\ntouch escaped",
        "'; touch escaped; '",
        '" && touch escaped',
        "$IFS",
        "${PATH}",
        "!!",
        "!1",
        "*",
        "?",
    ),
    *(
        "--help",
        "--version",
        "-h",
        "--out=/a",
        "--",
        "-",
        "--model",
        "@file",
        "=cmd|' /C calc'!A0",
        "+1",
        "%00",
    ),
)
MARKUP = (
    *(
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "[red]a[/red]",
        "[link=file:///a]b[/link]",
    ),
    *(
        "[/]",
        "[bold",
        "\\[a]",
        "**a**",
        "{{7*7}}",
        "${7*7}",
        "#{7*7}",
        "<%= 7 %>",
        "{% a %}",
        "]]>",
        "<!--",
        "&lt;",
    ),
    *(
        "<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]>",
        "' OR 1=1 --",
        "\\x41",
        "\\u0041",
    ),
    *(
        "\\N{BULLET}",
        "\\",
        "\\\\",
        '"',
        "'",
        "`",
        "{",
        "}",
        "{}",
        "{0}",
        "{prompt}",
        "{{",
        "}}",
        "{{}",
        "{a!r}",
        "{a:9999999}",
    ),
)
FORMATS = (
    *(
        "%s",
        "%n%n%n",
        "%x" * 50,
        "%99999999d",
        "{0.__class__}",
        "{self}",
        "{__import__}",
        "%(a)s",
        "%%",
        "$1",
        "{:>9}",
    ),
    *(
        "__import__('os').system('touch escaped')",
        "lambda: 1",
        "1/0",
        "None",
        "nan",
        "inf",
        "-1",
        "1e999",
        "0x41",
    ),
    *(
        "9" * 5000,
        "1" * 300_000,
        "0,0,1,1",
        "1,1 " * 30_000,
        "right*99999",
        "free",
        "a@1",
        "a@1e9",
        "a@",
        "@1",
        "a@-1",
    ),
)
EMOJI = (
    *(
        "\U0001f600",
        "\U0001f468\u200d\U0001f469\u200d\U0001f467",
        "\U0001f1e9\U0001f1ea",
        "\u2764\ufe0f",
        "\u200d",
    ),
    *(
        "\U0001f44d\U0001f3ff",
        "\U000e0067\U000e0062",
        "\u20ac",
        "\u0130",
        "\u1e9e",
        "\ufb03",
        "\ufdfa" * 400,
        "\u212b",
    ),
)
SINGLE = (
    *range(0x00, 0x21), *range(0x7F, 0xA1), 0xAD, 0x34F, 0x61C, 0x115F, 0x180E, *range(0x200B, 0x2010),
    *range(0x2028, 0x202F), *range(0x2060, 0x2070), 0x3000, 0xD800, 0xDBFF, 0xDC00, 0xDFFF, 0xE000, 0xFDD0,
    0xFE0F, 0xFEFF, 0xFFF9, 0xFFFC, 0xFFFD, 0xFFFE, 0xFFFF, 0x1D173, 0xE0001, 0xE007F, 0xF0000, 0x10FFFF,
)  # fmt: skip


def words() -> list[str]:
    """All of them, each once."""
    found = [*PATHS, *SHELL, *MARKUP, *FORMATS, *EMOJI, *floods(), *singles()]
    draw = random.Random(SEED)
    while len(found) < LEAST + 200:
        found.append("".join(chr(letter(draw)) for _ in range(draw.randrange(1, 60))))
    return list(dict.fromkeys(found))


def letter(draw: random.Random) -> int:
    """Of any plane, the lowest most often."""
    return draw.choice((draw.randrange(0x80), draw.randrange(0x3000), draw.randrange(0x110000)))


def floods() -> Iterator[str]:
    yield ""
    yield from (" " * 2000, "\t", "\n" * 100, "\r\n", "\v\f", "a" * 2000, "a" * 2001, "a" * (1 << 20))
    yield "\0" * (1 << 20)
    yield "\u0301" * 2000
    yield "a" + "\u0301" * 1999
    yield "".join(chr(0x300 + number % 0x70) for number in range(2000))
    yield "\u202e" * 1000 + "a"
    yield "\u2066" * 1000
    yield "\U0001f600" * 500
    yield "\u200d" * 2000
    yield "a " * 1000
    yield "-" * 2000
    yield "a-" * 1000
    yield "\ufdfa" * 2000
    yield "\ud800" * 1000
    yield "[" * 2000
    yield "{" * 2000
    yield "\x1b[31m\x1b]0;title\x07\x1b[2J"
    yield "\x9b31m"
    yield "a" * 1000 + "\0"
    yield "a" + " " * 300_000 + "b"
    yield "1" * 300_000 + "x"
    yield "a;" * 100_000


def singles() -> Iterator[str]:
    """Letters that steer, hide or are none, alone and within a word."""
    for number in SINGLE:
        yield chr(number)
        yield f"red{chr(number)}ball"


def is_encodable(text: str) -> bool:
    """Whether it can be an argument of a command: no NUL, and no surrogate but those that stand for bytes."""
    return "\0" not in text and all(unicodedata.category(one) != "Cs" for one in text)
