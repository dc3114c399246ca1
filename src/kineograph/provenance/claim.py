"""Two records of a clip: the private `Job` makes it again, the public `Claim` travels in the file.

The claim holds no path and no prompt, only the prompt's hash. That is salted, since the prompts of a small
vocabulary could be guessed from a plain hash; the salt stays in the job, with which its owner can prove
what the prompt was.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import kineograph
from kineograph.errors import MediaError, RequestError
from kineograph.media.sandbox import opened
from kineograph.media.wire import LIMITS, Unreadable
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
    """What a file says about how it was made; public."""

    generator: str
    digital_source_type: str
    seed: int | None = None
    model: str | None = None
    weights_hash: str | None = None
    prompt_hash: str | None = None

    def to_json(self) -> str:
        """A JSON object of what is claimed."""
        return json.dumps({name: value for name, value in asdict(self).items() if value is not None})

    def metadata(self) -> dict[str, str]:
        """The tags that go into a container or image file."""
        return {"comment": self.to_json()}


@dataclass(frozen=True)
class Job:
    """All that it takes to make a clip again; private.

    `inputs` holds the SHA-256 of each file that the request names, by its path.
    """

    request: Request
    version: str
    model: str
    weights_hash: str
    salt: str
    inputs: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> str:
        """A JSON object, indented to be read."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return json.dumps(values | {"request": json.loads(self.request.to_json())}, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Job:
        """Read what `to_json` wrote.

        Raises:
            RequestError: this is no job record.
        """
        try:
            values = json.loads(text)
            request = Request.from_json(json.dumps(values.pop("request")))
            job = cls(request=request, **values)
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
                raise RequestError(f"{path} has changed since this job was recorded; put the old file back.")


def job_of(request: Request, spec: Spec, salt: str | None = None) -> Job:
    """The record of a request that `spec`'s model is to fill; a new salt unless one is given."""
    request = request.moved(_absolute)
    return Job(
        request=request,
        version=kineograph.__version__,
        model=spec.name,
        weights_hash=spec.weights_hash,
        salt=salt or secrets.token_hex(16),
        inputs={path: _hash_file(path) for path in request.files},
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
    )


def _prompt_hash(job: Job) -> str:
    """Of the salt and the prompts, a line each."""
    text = job.salt + "\n".join(job.request.prompts)
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


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
