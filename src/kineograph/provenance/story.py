"""What a manifest claims, in plain sentences; whoever made it, and whatever it holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

CLAIM = "org.kineograph.claim"  # the label of our own assertion
MOST_LETTERS = 200  # of one thing that a stranger's file says
UNTRUSTED, EXPIRED = "signingCredential.untrusted", "signingCredential.expired"
ABOUT_SIGNERS = frozenset({UNTRUSTED, EXPIRED})  # a file with these faults alone is whole

SOURCES = {  # https://cv.iptc.org/newscodes/digitalsourcetype/
    "trainedAlgorithmicMedia": "made by a model (generative AI)",
    "compositeWithTrainedAlgorithmicMedia": "made from other material and by a model (generative AI)",
    "algorithmicMedia": "drawn by a program, without a trained model",
    "compositeSynthetic": "put together, in part synthetic",
    "digitalCapture": "recorded by a camera",
    "computationalCapture": "recorded by a camera and computed from that",
    "screenCapture": "recorded from a screen",
    "digitalCreation": "made by a person with software",
    "digitalArt": "made by a person with software",
    "humanEdits": "recorded, and edited by a person",
    "virtualRecording": "a recording of a virtual event",
    "algorithmicallyEnhanced": "recorded, and enhanced by a program",
}
ACTIONS = {
    "c2pa.created": "It was created",
    "c2pa.opened": "Existing material was opened",
    "c2pa.placed": "Other material was put in",
    "c2pa.edited": "It was edited",
    "c2pa.converted": "It was converted",
    "c2pa.watermarked": "A watermark was put in",
    "c2pa.watermarked.bound": "A watermark was put in",
    "c2pa.transcoded": "It was encoded anew",
    "c2pa.cropped": "It was cropped",
    "c2pa.resized": "It was resized",
    "c2pa.published": "It was published",
}


def told(manifest: Mapping[str, Any]) -> tuple[str, ...]:
    """Sentences on the tool, what it did, the model behind it if that is told, and what went in."""
    return tuple(
        dict.fromkeys([*_tool(manifest), *_deeds(manifest), *_model(manifest), *_material(manifest)])
    )


def _tool(manifest: Mapping[str, Any]) -> Iterator[str]:
    infos = _list(manifest, "claim_generator_info")
    names = [f"{printable(info.get('name'))} {printable(info.get('version'))}".strip() for info in infos]
    name = ", ".join(filter(None, names)) or printable(manifest.get("claim_generator"))
    if name:
        yield f"Its maker is the software {name}."


def _deeds(manifest: Mapping[str, Any]) -> Iterator[str]:
    for assertion in _list(manifest, "assertions"):
        if str(assertion.get("label", "")).startswith("c2pa.actions"):
            data = assertion.get("data")
            for action in _list(data if isinstance(data, Mapping) else {}, "actions"):
                yield _deed(action)


def _deed(action: Mapping[str, Any]) -> str:
    name = printable(action.get("action"))
    words = ACTIONS.get(name, f"The action {name} was done")
    source = printable(action.get("digitalSourceType")).rpartition("/")[2]
    how = f", {SOURCES.get(source, source)}" if source else ""
    agent = action.get("softwareAgent")
    by = printable(agent.get("name") if isinstance(agent, Mapping) else agent)
    when = printable(action.get("when"))
    return f"{words}{how}{f', by {by}' if by else ''}{f', at {when}' if when else ''}."


def _model(manifest: Mapping[str, Any]) -> Iterator[str]:
    for assertion in _list(manifest, "assertions"):
        data = assertion.get("data")
        if assertion.get("label") != CLAIM or not isinstance(data, Mapping):
            continue
        if data.get("model"):
            weights = printable(data.get("weights_hash"))[:16]
            yield f"The model is {printable(data['model'])}, its weights have the hash {weights}…."
        if "seed" in data:
            yield f"The seed is {printable(data['seed'])}."
        if prompts := _texts(data, "prompts"):
            yield f"The prompt is {'; '.join(prompts)!r}."
        elif data.get("prompt_hash"):
            yield "The prompt is not disclosed; its maker can prove it by the private record."
        if data.get("consent"):
            yield f"Its maker states of the people in the material: {printable(data['consent'])!r}."
        if watermarks := _texts(data, "source_watermarks"):
            yield f"The material carried the watermark {', '.join(watermarks)}."
        if left_out := _texts(data, "left_out"):
            yield f"Its maker left out: {', '.join(left_out)}."


def _material(manifest: Mapping[str, Any]) -> Iterator[str]:
    for ingredient in _list(manifest, "ingredients"):
        role = "It was made from" if ingredient.get("relationship") == "parentOf" else "It contains"
        kind = printable(ingredient.get("format")) or "unknown"
        yield f"{role} a file of the kind {kind}, {_marked(ingredient)}."


def _marked(ingredient: Mapping[str, Any]) -> str:
    if not ingredient.get("active_manifest"):
        return "without a manifest"
    results = ingredient.get("validation_results")
    own = results.get("activeManifest") if isinstance(results, Mapping) else None
    failures = [fault.get("code") for fault in _list(own if isinstance(own, Mapping) else {}, "failure")]
    if all(code in ABOUT_SIGNERS for code in map(str, failures)):
        return "with a manifest of its own"
    return "with a manifest of its own that it did not fit, as it had been TAMPERED with"


def _list(values: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """The objects in a list, whatever a stranger has put there."""
    found = values.get(name)
    return [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []


def _texts(values: Mapping[str, Any], name: str) -> list[str]:
    found = values.get(name)
    return list(map(printable, found)) if isinstance(found, list) else []


def printable(value: object) -> str:
    """One printable line: a stranger's words must not steer a terminal."""
    return "".join(filter(str.isprintable, str(value if value is not None else "")))[:MOST_LETTERS]
