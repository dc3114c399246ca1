"""An image-text model as a scorer: a tiny one, made on the spot. It reads what it is told to, no more."""

import json

import numpy as np
import pytest

transformers = pytest.importorskip("transformers")

from kineograph.errors import ModelError  # noqa: E402
from kineograph.evaluation.audit import zero_shot  # noqa: E402

SIDE = 16


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Weights of no meaning, a tokenizer of single letters."""
    folder = tmp_path_factory.mktemp("clip")
    letters = [chr(n) for n in range(97, 123)]
    words = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({word: number for number, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = transformers.CLIPTokenizer.from_pretrained(folder)
    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    ends = {"bos_token_id": len(words) - 2, "eos_token_id": len(words) - 1, "pad_token_id": len(words) - 1}
    config = transformers.CLIPConfig(
        text_config={**small, **ends, "vocab_size": len(words), "max_position_embeddings": 64},
        vision_config={**small, "image_size": SIDE, "patch_size": 8},
        projection_dim=8,
    )
    size = {"size": {"shortest_edge": SIDE}, "crop_size": {"height": SIDE, "width": SIDE}}
    processor = transformers.CLIPProcessor(transformers.CLIPImageProcessor(**size), tokenizer)
    transformers.set_seed(0)
    transformers.CLIPModel(config).save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def test_it_gives_probabilities(folder):
    scorer = zero_shot.load(folder, ["color"])
    clips = np.random.default_rng(0).integers(0, 256, (3, 6, 32, 32, 3), np.uint8)
    scores = scorer.score(clips, ("red", "blue", "green"))
    assert scores.shape == (3, 3)
    assert scores.sum(axis=1) == pytest.approx(1)
    assert scorer.score(clips[1:2], ("red", "blue", "green")) == pytest.approx(scores[1:2], abs=1e-5)


def test_it_reads_only_what_it_is_told_to(folder):
    scorer = zero_shot.load(folder, ["color"])
    assert scorer.reads("color", ("red", "blue"))
    assert not scorer.reads("age", ("young", "old"))


def test_what_is_no_such_model_is_refused_in_one_sentence(folder, tmp_path):
    with pytest.raises(ModelError, match="no model in safetensors"):
        zero_shot.load(tmp_path, ["color"])
    (tmp_path / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:100])
    with pytest.raises(ModelError, match=r"^[^\n]*can't be loaded[^\n]*\.$"):
        zero_shot.load(tmp_path, ["color"])
