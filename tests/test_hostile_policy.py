"""The usage policy: what it denies, whatever its spelling; what passes; that a wrong file allows nothing."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kineograph.errors import RequestError
from kineograph.provenance import policy
from kineograph.provenance.policy import CONSENT_LETTERS, Policy, policy_in_force, policy_of
from kineograph.request import Keyframe, Request, Walk, Waypoint

DENIED = Policy(deny=("Jane Doe", "straße", "張三"))
SAME = [
    "jane doe",
    "a portrait of JANE-DOE's dog",
    "Jane \u00a0 Doe",
    "\uff2a\uff41\uff4e\uff45 \uff24\uff4f\uff45",  # full width
    "ja\u200bne do\u00ade",  # invisible letters
    "jane_doe",
    "STRASSE",
    "張三在跑步",
]
OTHERS = ["jane doering", "maryjane doe", "a doe and jane", "strass", "張 and 三"]


@pytest.mark.parametrize("prompt", SAME)
def test_a_denied_phrase_is_found_however_it_is_written(prompt):
    with pytest.raises(RequestError, match="usage policy's rule deny does not allow"):
        DENIED.check(Request(prompt), None)


@pytest.mark.parametrize("prompt", OTHERS)
def test_other_words_pass(prompt):
    DENIED.check(Request(prompt), None)


@given(
    st.text(alphabet="abcdefg ", min_size=1, max_size=30), st.text(alphabet="abcdefg", min_size=1, max_size=3)
)
def test_whole_words_alone_match(prompt, word):
    prompt = f"x {prompt}"
    denied = Policy(deny=(word,))
    if word in prompt.split():
        with pytest.raises(RequestError):
            denied.check(Request(prompt.upper()), None)
    else:
        denied.check(Request(prompt.upper()), None)


def test_every_prompt_is_looked_at():
    walked = Request("a ball", walk=Walk("jane doe", 1, 0.5))
    later = Request("a ball", then=(Waypoint("jane doe", 1),))
    for request in (walked, later):
        with pytest.raises(RequestError, match="deny"):
            DENIED.check(request, None)


FOOTAGE = [
    Request("a", images=(Keyframe("a.png"),)),
    Request("a", video="a.mp4", edit=0.5),
    Request("a", style=("a.png",)),
    Request("a", depth="a.mp4"),
    Request("a", edges="a.mp4"),
]


@pytest.mark.parametrize("request_", FOOTAGE)
def test_footage_needs_a_statement_where_the_policy_says_so(request_):
    strict = Policy(consent_required=True)
    with pytest.raises(RequestError, match="rule consent_required"):
        strict.check(request_, None)
    strict.check(request_, "Everybody in it has agreed.")
    Policy().check(request_, None)


def test_words_alone_need_none():
    Policy(consent_required=True).check(Request("a ball"), None)


@pytest.mark.parametrize("consent", ["", "  ", "a\nb", "a\0b", "\u202eb", "x" * (CONSENT_LETTERS + 1), 3])
def test_a_statement_is_a_line_of_text(consent):
    with pytest.raises(RequestError, match="statement of consent must be one line"):
        Policy().check(Request("a ball"), consent)


def test_from_a_file_that_the_environment_names(tmp_path, monkeypatch):
    monkeypatch.delenv(policy.POLICY, raising=False)
    assert policy_in_force() == policy_of(None) == Policy()
    path = tmp_path / "policy.json"
    path.write_text(json.dumps({"deny": ["jane doe"], "consent_required": True}), encoding="utf-8-sig")
    monkeypatch.setenv(policy.POLICY, str(path))
    assert policy_in_force() == Policy(("jane doe",), True)


BAD = {
    "nothing": b"",
    "no object": b"[]",
    "no text": b"\xff\xfe\0",
    "deep": b"[" * 100_000,
    "another key": b'{"denied": []}',
    "text for a list": b'{"deny": "jane"}',
    "numbers": b'{"deny": [1]}',
    "no words": b'{"deny": ["..."]}',
    "yes for true": b'{"consent_required": "yes"}',
    "one for true": b'{"consent_required": 1}',
    "twice": b'{"consent_required": true, "consent_required": false}',
    "too many": b'{"deny": [' + b'"a",' * policy.MOST_DENIED + b'"a"]}',
    "too large": b" " * (policy.LARGEST_FILE + 1),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_file_that_is_no_policy_allows_nothing(kind, tmp_path):
    path = tmp_path / "policy.json"
    path.write_bytes(BAD[kind])
    with pytest.raises(RequestError, match=r"^(In the|The) usage policy .*policy\.json.*[.]$") as caught:
        policy_of(str(path))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("name", ["none.json", ".", "a\0b", "x" * 5000])
def test_a_file_that_is_not_there_allows_nothing(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RequestError, match="usage policy"):
        policy_of(name)
