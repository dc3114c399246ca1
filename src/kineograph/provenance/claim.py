"""Two records of a clip: the private `Job` makes it again, the public `Claim` travels in the file.

The claim holds no path and, unless its maker discloses it, no prompt, only the prompt's hash. That is salted,
since the prompts of a small vocabulary could be guessed from a plain hash; the salt stays in the job, with
which its owner can prove what the prompt was.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import kineograph
from kineograph.config import from_dict
from kineograph.errors import MediaError, RequestError
from kineograph.media.sandbox import opened
from kineograph.media.wire import LIMITS, Unreadable
from kineograph.provenance.marking import MARKED, Marking
from kineograph.provenance.policy import policy_in_force
from kineograph.provenance.traces import payload_in
from kineograph.request import Request

if TYPE_CHECKING:  # a record needs no torch
    from kineograph.models.family import Spec

# https://cv.iptc.org/newscodes/digitalsourcetype/
_SOURCE_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
GENERATED = _SOURCE_TYPES + "trainedAlgorithmicMedia"
COMPOSITE = _SOURCE_TYPES + "compositeWithTrainedAlgorithmicMedia"
RENDERED = _SOURCE_TYPES + "algorithmicMedia"


@dataclass(frozen=True)
class Claim:
    """What a file says about how it was made; public.

    `left_out` names the marks that its maker opted out of, `consent` is what they state about the people in
    footage that went in, `prompts` is there if they disclose them. `source_watermarks` are what watermarks in
    that footage carried, `watermarker` the kind of watermark that stands in for ours.
    """

    generator: str
    digital_source_type: str
    seed: int | None = None
    model: str | None = None
    weights_hash: str | None = None
    prompt_hash: str | None = None
    prompts: tuple[str, ...] | None = None
    consent: str | None = None
    left_out: tuple[str, ...] | None = None
    source_watermarks: tuple[str, ...] | None = None
    watermarker: str | None = None

    def values(self) -> dict[str, Any]:
        """What is claimed, by name."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def to_json(self) -> str:
        """A JSON object of what is claimed."""
        return json.dumps(self.values())

    def payload(self) -> int:
        """The 32 bits that a watermark carries: 20 of the hash of the weights (zero: no model) and 12 of the
        seed. They tell nothing of the prompt, and the same request is marked alike."""
        return payload_of(self.weights_hash, self.seed or 0)


def payload_of(weights_hash: str | None, seed: int) -> int:
    """What a watermark of these weights and this seed carries, 32 bits."""
    model = int(hashlib.sha256(weights_hash.encode()).hexdigest()[:5], 16) if weights_hash else 0
    return model << 12 | seed % 4096


@dataclass(frozen=True)
class Source:
    """A file that a clip was made from: what was worked on (`parent`), or one of several parts."""

    path: str
    parent: bool


@dataclass(frozen=True)
class Job:
    """All that it takes to make a clip again; private.

    `inputs` holds the SHA-256 of each file that the request names, by its path. `consent` is what the maker
    states about the people in them.
    """

    request: Request
    version: str
    model: str
    weights_hash: str
    salt: str
    inputs: Mapping[str, str] = field(default_factory=dict)
    marking: Marking = MARKED
    consent: str | None = None

    def to_json(self) -> str:
        """A JSON object, indented to be read."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        plain = {"request": json.loads(self.request.to_json()), "marking": asdict(self.marking)}
        return json.dumps(values | plain, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Job:
        """Read what `to_json` wrote.

        Raises:
            RequestError: this is no job record.
        """
        try:
            values = json.loads(text)
            request = Request.from_json(json.dumps(values.pop("request")))
            marking = from_dict(Marking, values.pop("marking", {}))
            job = cls(request=request, marking=marking, **values)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise RequestError("This is no job record; give the .job.json beside a clip.") from error
        if not job._is_sane():
            raise RequestError("This job record is damaged; give it as it was written.")
        return job

    def _is_sane(self) -> bool:
        """Whether all but the request, which is checked by itself, is what a record can hold."""
        texts = (self.version, self.model, self.weights_hash, self.salt)
        return (
            all(isinstance(text, str) for text in texts)
            and self.salt.isascii()
            and (self.consent is None or isinstance(self.consent, str))
            and isinstance(self.inputs, dict)
            and self.inputs.keys() == set(self.request.files)
            and all(isinstance(known, str) for known in self.inputs.values())
        )

    def check_inputs(self) -> None:
        """Make sure that the files are still those that the clip was made from.

        Raises:
            RequestError: one has changed.
            MediaError: one is gone.
        """
        for path, known in self.inputs.items():
            if _hash_file(path) != known:
                raise RequestError(
                    f"{path!r} has changed since this job was recorded; put the old file back."
                )


def job_of(
    request: Request,
    spec: Spec,
    salt: str | None = None,
    marking: Marking = MARKED,
    consent: str | None = None,
) -> Job:
    """The record of a request that `spec`'s model is to fill; a new salt unless one is given.

    Raises:
        RequestError: the policy in force forbids it, see `kineograph.provenance.policy`.
        MediaError: a file that it names can't be read.
    """
    policy_in_force().check(request, consent)
    request = request.moved(_absolute)
    return Job(
        request=request,
        version=kineograph.__version__,
        model=spec.name,
        weights_hash=spec.weights_hash,
        salt=salt or secrets.token_hex(16),
        inputs={path: _hash_file(path) for path in request.files},
        marking=marking,
        consent=consent,
    )


def claim_of(job: Job) -> Claim:
    """The public part of a job."""
    return Claim(
        generator=_generator(job.version),
        digital_source_type=COMPOSITE if job.inputs else GENERATED,
        seed=job.request.seed,
        model=job.model,
        weights_hash=job.weights_hash,
        prompt_hash=_prompt_hash(job),
        prompts=job.request.prompts if job.marking.disclose_prompt else None,
        consent=job.consent,
        source_watermarks=_watermarks(job) or None,
    )


def _watermarks(job: Job) -> tuple[str, ...]:
    """What watermarks in the files that went in carry, in hexadecimal digits."""
    seen = {_payload_in(source.path, job.inputs[source.path]) for source in sources_of(job)}
    return tuple(f"{payload:08x}" for payload in sorted(payload for payload in seen if payload is not None))


@lru_cache(maxsize=64)
def _payload_in(path: str, content: str) -> int | None:
    """Once for all clips that are made from one file; `content` is its hash."""
    return payload_in(path)


def sources_of(job: Job) -> tuple[Source, ...]:
    """The pictures and clips that went into a clip. Footage is the parent of what is made from it, all others
    are parts."""
    seen = [path for path in job.inputs if path != job.request.pose]
    return tuple(Source(path, path == job.request.video) for path in seen)


def _prompt_hash(job: Job) -> str:
    """Of the salt and the prompts, a line each."""
    text = job.salt + "\n".join(job.request.prompts)
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def sheet_claim(spec: Spec) -> Claim:
    """The claim of pictures that a model made from several prompts, of which none is named."""
    return Claim(
        _generator(kineograph.__version__), GENERATED, model=spec.name, weights_hash=spec.weights_hash
    )


def rendering_claim(seed: int | None = None) -> Claim:
    """The claim of what the world's renderer drew: made by an algorithm, by none that was trained."""
    return Claim(_generator(kineograph.__version__), RENDERED, seed)


def _generator(version: str) -> str:
    return f"kineograph {version}"


def _absolute(path: str) -> str:
    """The same file from whatever folder it is read again."""
    return str(Path(path).absolute())


def _hash_file(path: str) -> str:
    try:
        with opened(path, LIMITS) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except Unreadable as reason:
        raise MediaError(f"{path!r} {reason}") from reason
