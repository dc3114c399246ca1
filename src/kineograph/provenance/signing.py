"""Signed manifests by the standard C2PA: into a file, or beside one whose container has no room for it.

Source: C2PA Technical Specification 2.x, https://spec.c2pa.org, by the library c2pa (c2pa-rs).
"""

from __future__ import annotations

import json
import secrets
import warnings
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from c2pa import Builder, C2paError, C2paSignerInfo, C2paSigningAlg, Context, Reader
from c2pa.c2pa import Signer

from kineograph.errors import OutputError
from kineograph.provenance.claim import COMPOSITE, GENERATED, Claim
from kineograph.provenance.identity import Identity
from kineograph.provenance.ingredients import Ingredient, NotKeptError, add, label_of
from kineograph.provenance.manifests import KINDS, OTHER_KINDS, WATERMARK, context
from kineograph.provenance.story import CLAIM


def try_out(who: Identity) -> None:
    """Sign a few bytes, without a time stamp, to find before any work what would be found after it.

    Raises:
        OutputError: nothing can be signed, for instance because certificate and key don't fit.
    """
    kind, trial, who = OTHER_KINDS[".webm"], BytesIO(b"trial"), replace(who, time_stamp=None)
    claim = Claim("kineograph", GENERATED)
    try:
        with context() as plain, Builder(_definition(claim, ()), plain) as builder, signer(who) as key:
            builder.set_no_embed()
            _check(kind, trial, builder.sign(key, kind, trial, BytesIO()), plain)
    except C2paError as error:
        raise _refusal(error) from error


def sign(
    path: Path, claim: Claim, ingredients: Sequence[Ingredient], who: Identity, sidecar: Path | None = None
) -> None:
    """Sign the file `path`: in its place or, if `sidecar` is given, by a manifest in that other file.

    The signature is read back and checked before anything is replaced. If the time stamp server can't be
    reached, or the manifest of an ingredient can't be kept, the file is signed without that, with a warning.

    Raises:
        OutputError: the file can't be signed, for instance because certificate and key don't fit.
        MediaError: a file that went in is gone.
    """
    try:
        manifest = _stamped(path, claim, ingredients, who, sidecar)
    except NotKeptError as error:
        return _sign_without({error.number}, error, path, claim, ingredients, who, sidecar)
    except C2paError as error:
        suspects = {number for number, one in enumerate(ingredients) if one.brings}
        if not suspects:
            raise _refusal(error) from error
        return _sign_without(suspects, error, path, claim, ingredients, who, sidecar)
    if sidecar:
        sidecar.write_bytes(manifest)
    return None


def _sign_without(
    numbers: set[int],
    reason: Exception,
    path: Path,
    claim: Claim,
    ingredients: Sequence[Ingredient],
    who: Identity,
    sidecar: Path | None,
) -> None:
    """Sign without the manifests of these ingredients; that they are not kept is said once that is done."""
    fewer = [one.dropped() if number in numbers else one for number, one in enumerate(ingredients)]
    sign(path, claim, fewer, who, sidecar)
    for number in sorted(numbers):
        ingredients[number].warn(reason)


def _stamped(
    path: Path, claim: Claim, ingredients: Sequence[Ingredient], who: Identity, sidecar: Path | None
) -> bytes:
    """The manifest, with a time stamp if one is wanted and can be had."""
    try:
        return _signed(path, claim, ingredients, who, sidecar)
    except C2paError:
        if not who.time_stamp:
            raise
    manifest = _signed(path, claim, ingredients, replace(who, time_stamp=None), sidecar)
    warnings.warn(f"No time stamp from {who.time_stamp}: signed without.", stacklevel=3)
    return manifest


def _refusal(error: C2paError) -> OutputError:
    reason = str(error).rstrip(".")
    if reason.startswith("Io:"):  # the library keeps to itself what the system said
        return OutputError(f"The signed file can't be written ({reason}): the disk may be full.")
    return OutputError(f"The file can't be signed ({reason}): check the certificate and the key.")


def _signed(
    path: Path, claim: Claim, ingredients: Sequence[Ingredient], who: Identity, sidecar: Path | None
) -> bytes:
    """The manifest, which has come into the file unless there is a sidecar."""
    kind = (KINDS | OTHER_KINDS)[path.suffix.lower()]
    part = path.with_name(f".kineograph-{secrets.token_hex(6)}{path.suffix}")
    definition = _definition(claim, ingredients)
    with context() as settings, Builder(definition, settings) as builder, signer(who) as key:
        for number, ingredient in enumerate(ingredients):
            add(builder, ingredient, number, settings)
        if sidecar:
            builder.set_no_embed()
        try:
            with path.open("rb") as bare, _target(part, sidecar) as whole:
                manifest: bytes = builder.sign(key, kind, bare, whole)
                _check(kind, bare if sidecar else whole, manifest if sidecar else None, settings)
            if not sidecar:
                part.replace(path)
            return manifest
        finally:
            part.unlink(missing_ok=True)


def _target(part: Path, sidecar: Path | None) -> BinaryIO:
    """Where the signed file goes; nobody needs a copy of one that stays as it is."""
    return BytesIO() if sidecar else part.open("w+b")


def _check(kind: str, file: BinaryIO, manifest: bytes | None, settings: Context) -> None:
    """Read back what was signed."""
    file.seek(0)
    with Reader(kind, file, manifest, context=settings) as reader:
        state = reader.get_validation_state()
    if state not in ("Valid", "Trusted"):
        raise C2paError(f"what was signed reads as {state}")


def signer(who: Identity) -> Signer:
    """The library's signer for an identity."""
    algorithm = C2paSigningAlg[who.algorithm.upper()]
    if who.callback:
        return Signer.from_callback(who.callback, algorithm, who.chain, who.time_stamp)
    stamp = who.time_stamp.encode() if who.time_stamp else None
    return Signer.from_info(C2paSignerInfo(algorithm, who.chain.encode(), (who.key or "").encode(), stamp))


# What is claimed


def _definition(claim: Claim, ingredients: Sequence[Ingredient]) -> str:
    """The manifest, as JSON that the library takes."""
    name, _, version = claim.generator.partition(" ")
    actions = {"label": "c2pa.actions", "data": {"actions": _actions(claim, ingredients)}}
    ours = {"label": CLAIM, "data": claim.values()}
    assertions = [actions, ours, *_bindings(claim)]
    return json.dumps(
        {"claim_generator_info": [{"name": name, "version": version}], "assertions": assertions}
    )


def _bindings(claim: Claim) -> list[dict[str, Any]]:
    """What the watermark carries: by it, a file that lost its manifest is known again."""
    if not _has_ours(claim):
        return []
    blocks = [{"scope": {}, "value": f"{claim.payload():08x}"}]
    return [{"label": "c2pa.soft-binding", "data": {"alg": WATERMARK, "blocks": blocks}}]


def _actions(claim: Claim, ingredients: Sequence[Ingredient]) -> list[dict[str, Any]]:
    """How the clip came to be: created from nothing or from parts, or footage opened and edited."""
    agent = {"name": claim.generator}
    parents, parts = (
        [label_of(number) for number, one in enumerate(ingredients) if one.source.parent is wanted]
        for wanted in (True, False)
    )
    made = {"digitalSourceType": claim.digital_source_type, "softwareAgent": agent, "when": _now()}
    if parents:
        first = [{"action": "c2pa.opened", "parameters": {"ingredientIds": parents}}]
        first.append({"action": "c2pa.edited", **made, "digitalSourceType": COMPOSITE})
    else:
        first = [{"action": "c2pa.created", **made}]
    placed = [{"action": "c2pa.placed", "parameters": {"ingredientIds": [part]}} for part in parts]
    marked = [{"action": "c2pa.watermarked", "softwareAgent": agent}] if _has_ours(claim) else []
    return [*first, *placed, *marked]


def _now() -> str:
    """By this machine's clock, which nobody vouches for."""
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _has_ours(claim: Claim) -> bool:
    """Whether the pixels carry a watermark of our own kind."""
    return "watermark" not in (claim.left_out or ()) and claim.watermarker is None
