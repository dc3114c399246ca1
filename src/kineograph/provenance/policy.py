"""A usage policy: what whoever runs Kineograph for others doesn't let it make, for the sake of real people.

A policy is a JSON file, named by the environment variable KINEO_POLICY:

    {"deny": ["jane q. public", "deepfake"], "consent_required": true}

`deny` lists words and phrases that no prompt may hold; `consent_required` asks for a statement about the
people in footage that goes in. Without a file nothing is denied and no statement is asked for; one that is
given is checked and recorded.

What this can't do: a list of words stops nobody who is determined, since a misspelling, another language, a
letter of another alphabet that looks alike, or a description passes. Nothing here looks at pixels: no face is
recognised, footage that was made by a model is not told from real footage, and whether a statement is true
can't be known, only that it was made. Whoever may change the environment or the code may lift the policy.
"""

from __future__ import annotations

import json
import os
import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from kineograph.config import from_dict
from kineograph.errors import RequestError
from kineograph.request import Request

POLICY = "KINEO_POLICY"
CONSENT_LETTERS = 500
MOST_DENIED = 10_000
LARGEST_FILE = 1 << 20  # bytes

# Thai to Burmese, Khmer, kana and Han, Hangul: scripts that write words without spaces, or endings to names.
# There each letter is a word of its own; elsewhere a run of letters and digits is.
_LONE = r"\u0e00-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3\U00020000-\U0003ffff"
_WORD = re.compile(rf"[{_LONE}]|[^\W_{_LONE}]+")


@dataclass(frozen=True)
class Policy:
    """What is refused.

    Args:
        deny: words and phrases, up to 10,000. They match whole words whatever their case, their width and
            what punctuation, spaces or invisible letters stand between: "Jane Doe" is in "JANE-DOE's", not in
            "Jane Doering".
        consent_required: whether footage needs a statement about the people in it.

    Raises:
        RequestError: an entry holds no word, or there are too many.
    """

    deny: tuple[str, ...] = ()
    consent_required: bool = False

    def __post_init__(self) -> None:
        if len(self.deny) > MOST_DENIED:
            raise RequestError(f"A policy denies at most {MOST_DENIED} words, not {len(self.deny)}.")
        if wordless := [entry for entry in self.deny if not _words(entry)]:
            raise RequestError(f"The policy denies {wordless[0]!r}, which holds no word: take it out.")

    def check(self, request: Request, consent: str | None) -> None:
        """Make sure that `request` may be filled, given what its maker states about those in its footage.

        Raises:
            RequestError: it may not; names the rule.
        """
        for prompt in request.prompts:
            self._check_prompt(prompt)
        if consent is not None:
            check_consent(consent)
        elif self.consent_required and footage_of(request):
            raise RequestError(
                "The usage policy's rule consent_required asks for a statement about those in images and "
                "video: give one, such as --consent 'Everybody in it has agreed'."
            )

    def _check_prompt(self, prompt: str) -> None:
        said = _words(prompt)
        for entry in self.deny:
            if _words(entry) in said:
                raise RequestError(f"The usage policy's rule deny does not allow {entry!r}: leave it out.")


def policy_in_force() -> Policy:
    """The policy that KINEO_POLICY names; read anew each time. Raises RequestError as `policy_of`."""
    return policy_of(os.environ.get(POLICY) or None)


def policy_of(path: str | None) -> Policy:
    """The policy in the file `path`; without one, what holds by default. What can't be read allows nothing.

    Raises:
        RequestError: the file can't be read, or holds something else than a policy.
    """
    if path is None:
        return Policy()
    try:
        return from_dict(Policy, _object(path))
    except RequestError as error:
        raise RequestError(f"In the usage policy {path!r}: {error}") from error
    except OSError as error:
        raise RequestError(f"The usage policy {path!r} can't be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise RequestError(f"The usage policy {path!r} is no JSON object, such as {{}}: mend it.") from error


def _object(path: str) -> dict[str, object]:
    """The object in a file. Raises RequestError for a name that is given twice, ValueError for no object."""
    with Path(path).open("rb") as file:
        text = file.read(LARGEST_FILE + 1)
    if len(text) > LARGEST_FILE:
        raise RequestError(f"It is too large, a policy has at most {LARGEST_FILE} bytes.")
    values = json.loads(text.decode("utf-8-sig"), object_pairs_hook=_unique)
    if not isinstance(values, dict):
        raise ValueError("not an object")
    return values


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Of two that contradict one another, none may be passed over in silence."""
    if twice := [name for name, count in Counter(name for name, _ in pairs).items() if count > 1]:
        raise RequestError(f"{twice[0]!r} is given twice; give it once.")
    return dict(pairs)


def check_consent(consent: str) -> None:
    """Raises RequestError for what is no short line of text."""
    if not (
        isinstance(consent, str) and consent.isprintable() and 0 < len(consent.strip()) <= CONSENT_LETTERS
    ):
        raise RequestError(
            f"The statement of consent must be one line of text, 1 to {CONSENT_LETTERS} characters."
        )


def footage_of(request: Request) -> tuple[str, ...]:
    """The files of a request that may show people: pictures, clips and maps of them."""
    images = [image.path for image in request.images]
    clips = [path for path in (request.video, request.depth, request.edges) if path]
    return (*images, *clips, *request.style)


def _words(text: str) -> str:
    """The words of a text as they are compared, each between two spaces; empty if there are none.

    Caseless compatibility matching without format characters. Source: The Unicode Standard, D146.
    """
    seen = "".join(letter for letter in text if unicodedata.category(letter) != "Cf")
    for _ in range(2):
        seen = unicodedata.normalize("NFKC", seen).casefold()
    words = _WORD.findall(unicodedata.normalize("NFKC", seen))
    return f" {' '.join(words)} " if words else ""
