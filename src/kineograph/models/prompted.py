"""What the small families of latents share: captions, a tokenizer that others made, and their files.

Every family but diffusion is given captions alone beside the canvas, and rests on the tokenizer of a model
that ships. Such a tokenizer isn't kept again: the config names the model and the hash of its encoder.

    B clips; t latent frames, h x w cells, C latent channels; L caption tokens.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from kineograph.canvas import Canvas
from kineograph.config import from_dict
from kineograph.errors import ModelError, RequestError
from kineograph.models import weights
from kineograph.models.family import Spec
from kineograph.models.precision import autocast
from kineograph.models.tokenizer import SPACE_STRIDE, Tokenizer, TokenizerConfig, frames_of
from kineograph.models.windows import LatentModel
from kineograph.sampling.noise import Draws
from kineograph.sampling.settings import Sampling
from kineograph.text.encoder import TextConfig, TextEncoder
from kineograph.text.vocabulary import Vocabulary

SHIPPED = Path(__file__).parents[1] / "weights"
OWN = "weights"  # the file of all that a family has beside the tokenizer


@dataclass(frozen=True)
class LatentConfig:
    """What a family's own settings are added to. `grid` is (t, h, w) in latent cells; `tokenizer_of` names
    the model that ships and has the tokenizer, whose encoder has the hash `encoder_hash`; "" if the tokenizer
    is the model's own."""

    words: tuple[str, ...] = ()
    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)
    tokenizer_of: str = ""
    encoder_hash: str = ""
    grid: tuple[int, int, int] = (5, 8, 8)
    text_length: int = 44
    text_width: int = 96
    fps: float = 8.0

    @property
    def channels(self) -> int:
        return self.tokenizer.channels

    @property
    def text(self) -> TextConfig:
        return TextConfig(len(Vocabulary(self.words)), self.text_length, self.text_width)

    @property
    def window(self) -> int:
        """In frames."""
        return frames_of(self.grid[0])

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.grid[1] * SPACE_STRIDE, self.grid[2] * SPACE_STRIDE


ConfigT = TypeVar("ConfigT", bound=LatentConfig)


class LatentNetworks(nn.Module, Generic[ConfigT]):
    """Tokenizer and caption encoder; a family adds its own modules."""

    def __init__(self, config: ConfigT) -> None:
        super().__init__()
        self.config = config
        self.tokenizer = Tokenizer(config.tokenizer)
        self.text = TextEncoder(config.text)

    def learning(self) -> list[tuple[str, nn.Parameter]]:
        """All that is learnt when the tokenizer rests."""
        return [(name, p) for name, p in self.named_parameters() if not name.startswith("tokenizer.")]

    def shipped(self) -> dict[str, nn.Module]:
        """The modules that clips are made with, beside the tokenizer: what is saved of them, by name."""
        return {name: module for name, module in self.named_children() if name != "tokenizer"}


NetworksT = TypeVar("NetworksT", bound=LatentNetworks[Any])
ModelT = TypeVar("ModelT", bound=LatentModel[Any])


@dataclass(frozen=True, eq=False)
class Prompts:
    """Encoded captions (B, L, D) of canvases, and what no prompt is (B, L, D)."""

    captions: Tensor
    nothing: Tensor
    canvases: Sequence[Canvas]


class PromptedModel(LatentModel[Prompts], Generic[NetworksT]):
    """A model that knows of each canvas its prompt and its pixels."""

    def __init__(self, networks: NetworksT, spec: Spec, dtype: torch.dtype | None = None) -> None:
        super().__init__(networks.tokenizer, spec, dtype)
        self.networks = networks.eval()
        self.vocabulary = Vocabulary(networks.config.words)

    def at(self, sampling: Sampling) -> PromptedModel[NetworksT]:
        """The same networks, sampled in another way unless asked otherwise."""
        return type(self)(self.networks, replace(self.spec, sampling=sampling), self.dtype)

    def condition(self, canvases: Sequence[Canvas]) -> Prompts:
        """Encode the prompts."""
        captions = self.read([canvas.prompt for canvas in canvases])
        return Prompts(captions, self.read([""] * len(canvases)), canvases)

    def read(self, prompts: Sequence[str]) -> Tensor:
        """Encoded captions (B, L, D)."""
        length = self.networks.config.text_length
        numbers = torch.tensor([self.vocabulary.encode(p, length) for p in prompts], device=self.device)
        with torch.inference_mode(), autocast(self.device, self.dtype):
            encoded: Tensor = self.networks.text(numbers)
        return encoded.float()

    def drawn(self, noises: Sequence[Draws], name: str, index: int, shape: tuple[int, ...]) -> Tensor:
        """Standard normal numbers (B, *shape), of each clip its own."""
        return torch.stack([noise.normal(name, index, shape) for noise in noises]).to(self.device)


def _what_reads(networks: LatentNetworks[Any]) -> list[nn.Module]:
    """The caption encoder: of the parts that all families have, the one that many small kernels slow."""
    return [networks.text]


@dataclass(frozen=True)
class LatentFamily(Generic[ConfigT, NetworksT, ModelT]):
    """How the models of a family are made: `networks` of a config; `objectives` by stage, in order, of the
    networks and of what their loss is made of, None for its defaults; `modelled` by a name and networks.
    Models of a config have these `abilities`, and are sampled as in `sampling` unless it is said otherwise.
    `hot` are the parts of the networks that are worth compiling for training."""

    name: str
    config: type[ConfigT]
    networks: Callable[[ConfigT], NetworksT]
    objectives: Mapping[str, Callable[[NetworksT, Any], list[Any]]]
    model: Callable[[NetworksT, Spec, torch.dtype | None], ModelT]
    abilities: Callable[[ConfigT], frozenset[str]]
    sampling: Sampling
    hot: Callable[[NetworksT], list[nn.Module]] = _what_reads

    def spec_of(self, name: str, config: ConfigT, sampling: Sampling | None = None) -> Spec:
        """What the rest of the program needs to know of a model of that name."""
        height, width = config.size
        native = (width, height, config.fps, config.window)
        return Spec(name, self.name, self.abilities(config), *native, sampling or self.sampling, config.words)

    def modelled(self, name: str, networks: NetworksT) -> ModelT:
        """A model of these networks."""
        return self.model(networks, self.spec_of(name, networks.config), None)


# To and from a folder


def encoder_hash(tokenizer: Tokenizer) -> str:
    """What the latents depend on: the encoder and the scale of each channel, as they are stored."""
    digest = hashlib.sha256()
    for name, value in sorted(tokenizer.state_dict().items()):
        if not name.startswith("decoder."):
            digest.update(weights.stored(value).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def save(folder: Path, networks: LatentNetworks[Any], spec: Spec) -> None:
    """Write the model as files that `load_networks` reads; a tokenizer that ships isn't among them."""
    settings = asdict(networks.config)
    del settings["words"]
    modules: dict[str, nn.Module] = {OWN: nn.ModuleDict(networks.shipped())}
    if not networks.config.tokenizer_of:
        modules["tokenizer"] = networks.tokenizer
    weights.save(folder, spec, settings, modules)


def load(
    family: LatentFamily[ConfigT, NetworksT, ModelT], folder: Path, dtype: torch.dtype | None = None
) -> ModelT:
    """The model in `folder`, on the best device that there is.

    Raises:
        ModelError: the files are missing, damaged or don't fit together.
    """
    networks, spec = load_networks(family, folder)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return family.model(networks.to(device).eval(), spec, dtype)


def load_networks(family: LatentFamily[ConfigT, NetworksT, ModelT], folder: Path) -> tuple[NetworksT, Spec]:
    """The networks in `folder`, to sample from or to train further.

    Raises:
        ModelError: as `load`.
    """
    spec, settings = weights.read_config(folder)
    try:
        config = from_dict(family.config, {"words": spec.vocabulary, **settings})
        networks = family.networks(config)
    except RequestError as error:
        raise ModelError(f"The config of '{folder.name}' doesn't fit this version: {error}") from error
    except (RuntimeError, ValueError, ZeroDivisionError) as error:  # of sizes that make no network
        raise ModelError(f"The config of '{folder.name}' is damaged: get the model again.") from error
    fitting = replace(family.spec_of(spec.name, config, spec.sampling), weights_hash=spec.weights_hash)
    if replace(spec, abilities=fitting.abilities) != fitting or not spec.abilities <= fitting.abilities:
        raise ModelError(f"The config of '{folder.name}' contradicts itself: get the model again.")
    weights.load_modules(folder, {OWN: nn.ModuleDict(networks.shipped())})
    weights.load_modules(_home(folder, config), {"tokenizer": networks.tokenizer})
    if config.tokenizer_of and encoder_hash(networks.tokenizer) != config.encoder_hash:
        raise ModelError(
            f"'{folder.name}' was made for another tokenizer of {config.tokenizer_of}: train it again."
        )
    return networks, spec


def _home(folder: Path, config: LatentConfig) -> Path:
    """Where the tokenizer lies."""
    home = SHIPPED / config.tokenizer_of if config.tokenizer_of else folder
    if home.parent not in (SHIPPED, folder.parent) or not home.is_dir():
        raise ModelError(f"'{folder.name}' needs the tokenizer of {config.tokenizer_of}, which is not there.")
    return home
