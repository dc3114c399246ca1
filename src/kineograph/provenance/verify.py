"""What a file says of its origin, and whether that can be believed; offline, for files of anybody.

Four questions, each answered by itself: is it signed, and by whom; what is claimed; is there a watermark;
what do plain metadata say. A signature is `trusted` only if its root is among those that this machine trusts.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from kineograph.errors import MediaError
from kineograph.provenance.identity import anchors
from kineograph.provenance.manifests import WATERMARK, examined
from kineograph.provenance.story import ABOUT_SIGNERS, CLAIM, EXPIRED, UNTRUSTED, printable, told
from kineograph.provenance.traces import Marked, traces_in
from kineograph.provenance.watermark import Watermarker

Signature = Literal["trusted", "untrusted", "tampered", "none"]


@dataclass(frozen=True)
class Signed:
    """What the signed manifest is worth and says.

    signature: `trusted`, `untrusted` (whole, but signed by somebody whom this machine doesn't know),
    `tampered` or `none`. faults: why it is tampered, or not as it should be. signer, time: who signed, and
    when, if a time stamp says so. story: what is claimed, in sentences. claim: our own assertion, if there is
    one. payload: what the manifest says that the watermark carries.
    """

    signature: Signature
    faults: tuple[str, ...] = ()
    signer: str | None = None
    time: str | None = None
    story: tuple[str, ...] = ()
    claim: dict[str, Any] = field(default_factory=dict)
    payload: int | None = None


@dataclass(frozen=True)
class Verdict:
    """All that is known of a file. `metadata` is a claim in plain tags, which anybody can write or remove."""

    path: str
    signed: Signed
    watermark: Marked
    metadata: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def verify(
    path: str | Path,
    trusted: Sequence[Path] = (),
    thorough: bool = False,
    watermarkers: Sequence[Watermarker] = (),
) -> Verdict:
    """Look at a video or image.

    Args:
        path: of anybody.
        trusted: PEM files with roots to trust besides those of this machine.
        thorough: look for a watermark in frames from all over the clip, not in the first ones alone. A long
            clip is then decoded whole.
        watermarkers: other watermarks to look for, such as learned ones.

    Raises:
        MediaError: it can't be read at all.
        RequestError: a file with roots can't be read.
    """
    path, roots = Path(path), anchors(trusted)
    with ThreadPoolExecutor() as pool:  # each of the two waits for a child of its own
        pixels = pool.submit(traces_in, path, thorough, watermarkers)
        signed = signature_of(path, roots)
        try:
            found, mark = pixels.result()
        except MediaError:
            if signed.signature == "none":
                raise
            return Verdict(str(path), signed, Marked(None, limit="The pixels can't be read."), {})
    return Verdict(str(path), signed, mark, _claimed(found.metadata))


# The signature


def signature_of(path: Path, roots: str) -> Signed:
    """What the manifest in a file, or beside it, says and is worth.

    Raises:
        MediaError: the file can't be read.
    """
    answer = examined(path, roots).answer
    if "state" not in answer:
        where = printable(answer.get("elsewhere"))
        return Signed("none", (f"its manifest is at {where}, which is not fetched",) if where else ())
    store = answer.get("store") or {}
    active = store.get("manifests", {}).get(store.get("active_manifest"), {})
    results = store.get("validation_results", {}).get("activeManifest", {})
    failures = [printable(fault.get("code")) for fault in results.get("failure", [])]
    reason = [printable(answer["reason"])] if "reason" in answer else []
    faults = [fault for fault in failures if fault != UNTRUSTED] or reason
    info = active.get("signature_info", {})
    return Signed(
        signature=_state(str(answer["state"]), failures),
        faults=tuple(dict.fromkeys(faults)),
        signer=_signer(info),
        time=printable(info["time"]) if info.get("time") else None,
        story=told(active),
        claim=_assertion(active, CLAIM),
        payload=_bound(active),
    )


def _state(state: str, failures: Sequence[str]) -> Signature:
    """Whoever signed may be unknown, or their certificate have ended: the file is whole all the same."""
    if state == "Trusted" and not failures:
        return "trusted"
    whole = state == "Valid" or EXPIRED in failures
    return "untrusted" if whole and ABOUT_SIGNERS.issuperset(failures) else "tampered"


def _signer(info: dict[str, Any]) -> str | None:
    """The name in the certificate, and the organisation that it names."""
    names = [printable(info[key]) for key in ("common_name", "issuer") if info.get(key)]
    return " / ".join(names) or None


def _assertion(manifest: dict[str, Any], label: str) -> dict[str, Any]:
    for assertion in manifest.get("assertions", []):
        if assertion.get("label") == label and isinstance(assertion.get("data"), dict):
            return dict(assertion["data"])
    return {}


def _bound(manifest: dict[str, Any]) -> int | None:
    """The payload in the soft binding, if that is one of our watermarks."""
    binding = _assertion(manifest, "c2pa.soft-binding")
    try:
        return int(binding["blocks"][0]["value"], 16) if binding.get("alg") == WATERMARK else None
    except (KeyError, IndexError, TypeError, ValueError):
        return None


# The plain metadata


def _claimed(tags: dict[str, str]) -> dict[str, Any]:
    """The claim in a file's comment, if it is one of ours, and the AIGC label of anybody."""
    claims = {"comment": _object(tags.get("comment", "")), "aigc": _object(tags.get("aigc", ""))}
    known = {name: values for name, values in claims.items() if values}
    if "digital_source_type" not in known.get("comment", {}):
        known.pop("comment", None)
    return known


def _object(text: str) -> dict[str, Any]:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}
