"""A data sheet as Croissant 1.0 with the vocabulary RAI 1.0: JSON-LD that catalogues and search engines read.

docs.mlcommons.org/croissant/docs/croissant-spec.html, …/croissant-rai-spec.html
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kineograph.data.shards import CAPTIONS

if TYPE_CHECKING:
    from kineograph.data.datasheet import Datasheet

_CR = (
    *("extract", "field", "fileObject", "fileProperty", "fileSet", "includes", "recordSet", "source"),
    *("citeAs", "column", "equivalentProperty", "format", "isLiveDataset", "jsonPath", "key", "md5", "path"),
    *("parentField", "references", "regex", "repeated", "replace", "samplingRate", "separator", "subField"),
    "transform",
)
CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    **{name: f"cr:{name}" for name in _CR},
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "sc": "https://schema.org/",
}
NOWHERE = "file:."  # a data set that lies in its folder alone
RENDERED = "Rendered from descriptions by this project's own program; no footage, no person, nobody's work."
UNKNOWN = "not known"


def croissant(sheet: Datasheet, folder: Path) -> dict[str, Any]:
    """The sheet of the shards in `folder` as JSON-LD."""
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "name": sheet.name,
        "description": _description(sheet),
        "conformsTo": ["http://mlcommons.org/croissant/1.0", "http://mlcommons.org/croissant/RAI/1.0"],
        "url": next((used.source.url for used in sheet.used if used.source.url), NOWHERE),
        "license": _licences(sheet),
        "isBasedOn": [_source(one) for one in sheet.used],
        "variableMeasured": list(_counts(sheet)),
        **_responsible(sheet),
        "distribution": [_captions(folder), _shards()],
        "recordSet": [_records()],
    }


def _description(sheet: Datasheet) -> str:
    made = f"rendered clips of the {sheet.world} world" if sheet.world else f"windows of {sheet.files} files"
    size = f"{sheet.frames} frames of {sheet.size}x{sheet.size} pixels at {sheet.fps:g} frames per second"
    return f"{sheet.clips} {made}, each of {size}, with captions."


def _licences(sheet: Datasheet) -> list[str]:
    if sheet.world:
        return ["Apache-2.0"]
    named = list(dict.fromkeys(used.source.licence for used in sheet.used))
    return [*named, UNKNOWN] if sheet.unlicensed or not named else named


def _source(used: Any) -> dict[str, Any]:
    source = used.source
    told = {
        "@type": "sc:CreativeWork",
        "name": source.files,
        "license": source.licence,
        "usageInfo": source.consent,
    }
    return told | ({"url": source.url} if source.url else {})


def _counts(sheet: Datasheet) -> Iterator[dict[str, Any]]:
    """Numbers that a machine may want: duplicates, and how many clips say what."""
    yield _count("exact duplicates", sum(len(group) - 1 for group in sheet.exact))
    yield _count("near duplicates", len(sheet.near))
    yield _count("files without a licence", len(sheet.unlicensed))
    for attribute, values in sheet.balance.items():
        for value, count in values.items():
            yield _count(f"{attribute}: {value}", count)


def _count(name: str, value: int) -> dict[str, Any]:
    return {"@type": "sc:PropertyValue", "name": name, "value": value}


def _responsible(sheet: Datasheet) -> dict[str, Any]:
    """What the vocabulary for responsible AI asks."""
    return {
        "rai:dataCollection": RENDERED if sheet.world else "Clips of somebody's own, in windows.",
        "rai:dataAnnotationProtocol": (
            "Captions by the program's grammar."
            if sheet.world
            else "Captions by texts beside the files or names."
        ),
        "rai:personalSensitiveInformation": _consent(sheet),
        "rai:dataBiases": f"By captions: {_balance(sheet)}.",
        "rai:dataLimitations": (
            f"Of {sheet.compared} clips compared, {len(sheet.exact)} groups are the same and "
            f"{len(sheet.near)} pairs nearly so."
        ),
        "rai:dataUseCases": "Training and testing of video models.",
    }


def _consent(sheet: Datasheet) -> str:
    if sheet.world:
        return "None: nobody is shown."
    told = [f"{used.source.files}: {used.source.consent}" for used in sheet.used]
    missing = [f"{len(sheet.unlicensed)} files of which nothing is known"] if sheet.unlicensed else []
    return "; ".join([*told, *missing]) or UNKNOWN


def _balance(sheet: Datasheet) -> str:
    return "; ".join(
        f"{attribute}: {', '.join(f'{value} {count}' for value, count in values.items())}"
        for attribute, values in sheet.balance.items()
    )


# The files


def _captions(folder: Path) -> dict[str, Any]:
    digest = hashlib.sha256((folder / CAPTIONS).read_bytes()).hexdigest()
    return {
        "@type": "cr:FileObject",
        "@id": CAPTIONS,
        "name": CAPTIONS,
        "description": "A JSON string for each clip, in their order.",
        "contentUrl": CAPTIONS,
        "encodingFormat": "text/plain",
        "sha256": digest,
    }


def _shards() -> dict[str, Any]:
    return {
        "@type": "cr:FileSet",
        "@id": "shards",
        "name": "shards",
        "description": "Tensors in safetensors, the first axis of each the clip.",
        "encodingFormat": "application/octet-stream",
        "includes": "clips-*.safetensors",
    }


def _records() -> dict[str, Any]:
    source = {"fileObject": {"@id": CAPTIONS}, "extract": {"fileProperty": "lines"}}
    caption = {
        "@type": "cr:Field",
        "@id": "clips/caption",
        "name": "caption",
        "dataType": "sc:Text",
        "source": source,
    }
    return {"@type": "cr:RecordSet", "@id": "clips", "name": "clips", "field": [caption]}
