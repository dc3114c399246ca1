"""Laws of the vocabulary and the caption encoder."""

import unicodedata
from copy import deepcopy
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kineograph.data.lessons import lessons
from kineograph.text.encoder import TextConfig, TextEncoder
from kineograph.text.pretrain import AttributeObjective
from kineograph.text.vocabulary import IDIOMS, PAD, RESERVED, SEPARATORS, UNKNOWN, Vocabulary, split, unread
from kineograph.worlds.captions import parse, words
from kineograph.worlds.world import FULL

WORLD = Vocabulary(tuple(words()))
known_words = st.lists(st.sampled_from(WORLD.words), max_size=40)


@given(known_words, st.integers(1, 40))
def test_numbers_name_the_words_again(chosen, length):
    numbers = WORLD.encode(" ".join(chosen), length)
    assert len(numbers) == length
    assert [WORLD.words[n - RESERVED] for n in numbers if n != PAD] == chosen[:length]


@given(known_words, st.integers(1, 40))
def test_padding_comes_last_and_alone(chosen, length):
    numbers = WORLD.encode(" ".join(chosen), length)
    assert numbers[len(chosen) :] == [PAD] * max(0, length - len(chosen))
    assert PAD not in numbers[: len(chosen)]


@settings(max_examples=50)
@given(st.lists(st.sampled_from([*WORLD.words, "zeppelin", "quokka"]), max_size=12))
def test_unknown_words_are_named_once_and_in_order(chosen):
    unknown = WORLD.unknown(" ".join(chosen))
    assert unknown == list(dict.fromkeys(word for word in chosen if word in ("zeppelin", "quokka")))
    numbers = WORLD.encode(" ".join(chosen), 12)
    assert [n == UNKNOWN for n in numbers[: len(chosen)]] == [word in unknown for word in chosen]


@given(st.lists(st.sampled_from([*WORLD.words, "zeppelin"]), max_size=12), st.integers(1, 12))
def test_each_word_is_encoded_or_named_as_not_read(chosen, length):
    caption = ", ".join(chosen)
    read = [number for number in WORLD.encode(caption, length) if number != PAD]
    assert len(read) + len(unread(caption, length)) == len(chosen)
    assert unread(caption, length) == chosen[length:]


@given(st.text(max_size=60), st.sampled_from(["NFC", "NFD", "NFKC", "NFKD"]))
def test_the_unicode_form_does_not_matter(text, form):
    assert split(unicodedata.normalize(form, text)) == split(text)


@given(st.text(max_size=60))
def test_any_text_can_be_encoded(text):
    numbers = WORLD.encode(text, 32)
    assert len(numbers) == 32
    assert all(0 <= n < len(WORLD) for n in numbers)


@pytest.mark.parametrize(
    ("caption", "parts"),
    [
        ("", []),
        ("A small, RED ball!", ["a", "small", "red", "ball"]),
        ("a well-known artist's cat", ["a", "well-known", "artist's", "cat"]),
        ("ein großer Bär über 3 Bäume", ["ein", "grosser", "bär", "über", "3", "bäume"]),
        ("ｒｅｄ", ["red"]),
    ],
)
def test_punctuation_and_case_only_separate(caption, parts):
    assert split(caption) == parts


def test_a_vocabulary_of_captions_knows_them():
    captions = ["a red ball", "A blue box, still"]
    vocabulary = Vocabulary.of(captions)
    assert vocabulary.words == ("a", "ball", "blue", "box", "red", "still")
    assert not any(vocabulary.unknown(caption) for caption in captions)
    assert len(vocabulary) == len(vocabulary.words) + RESERVED


# The encoder


@pytest.fixture(scope="module")
def encoder():
    torch.manual_seed(0)
    return TextEncoder(TextConfig(len(WORLD), length=8, width=16, depth=2, heads=2))


def encode(encoder, *captions):
    with torch.inference_mode():
        return encoder(torch.tensor([WORLD.encode(caption, 8) for caption in captions]))


def test_one_vector_a_token_whatever_else_is_in_the_batch(encoder):
    alone, together = encode(encoder, "a red ball"), encode(encoder, "a blue box", "a red ball", "")
    assert alone.shape == (1, 8, 16)
    assert torch.allclose(alone[0], together[1], atol=1e-5)


def test_the_order_of_the_words_matters(encoder):
    one, other = encode(encoder, "red ball blue box", "blue ball red box").mean(dim=1)
    assert not torch.allclose(one, other, atol=1e-3)


THINGS = Vocabulary(("a", "above", "and", "ball", "blue", "box", "fro", "of", "red", "swings", "to"))


@pytest.fixture(scope="module")
def telling_apart():
    torch.manual_seed(0)
    apart = {"separators": THINGS.numbers_of(SEPARATORS), "idioms": THINGS.numbers_of(IDIOMS)}
    encoder = TextEncoder(TextConfig(len(THINGS), length=12, width=16, depth=1, heads=2, things=3, **apart))
    torch.nn.init.normal_(encoder.things)
    return encoder


@torch.inference_mode()
def means_of(encoder, caption):
    """What is said of each thing (3, D), and the tokens of the caption before it (L, D)."""
    encoded = encoder(torch.tensor([THINGS.encode(caption, 12)]))[0]
    return encoded[12:], encoded[:12]


@pytest.mark.parametrize(
    ("caption", "bounds"),
    [
        ("", (0,)),
        ("a red ball", (0, 3)),
        ("a red ball and a blue box", (0, 3, 7)),
        ("a red ball above a blue box", (0, 3, 7)),
        ("a ball left of a box and a red ball", (0, 3, 6, 10)),
        ("a ball and a box and a ball and a box", (0, 2, 5, 11)),
        ("a ball swings to and fro and a box", (0, 6, 9)),
    ],
)
def test_what_is_said_of_each_thing_follows_the_words(telling_apart, caption, bounds):
    means, tokens = means_of(telling_apart, caption)
    for number, mean in enumerate(means):
        if number + 1 < len(bounds):
            start, stop = bounds[number : number + 2]
            assert torch.allclose(mean, tokens[start:stop].mean(dim=0), atol=1e-5)
        else:
            assert not mean.any()


def test_words_are_told_of_which_thing_they_speak(telling_apart):
    """With the vectors of two things swapped, the words of those come out otherwise, those of a third too,
    as all are read together; with none, they are told nothing."""
    caption = "ball and box and ball"
    _, tokens = means_of(telling_apart, caption)
    other = deepcopy(telling_apart)
    other.things.data = other.things.data[[1, 0, 2]]
    assert not torch.allclose(means_of(other, caption)[1][:5], tokens[:5], atol=1e-2)
    other.things.data[:] = 0
    plain = TextEncoder(replace(other.config, things=0))
    plain.load_state_dict({name: value for name, value in other.state_dict().items() if name != "things"})
    assert torch.allclose(means_of(other, caption)[1], means_of(plain, caption)[1], atol=1e-5)


def test_of_captions_of_the_world_separators_tell_the_things():
    separators = set(SEPARATORS)
    for lesson in lessons(400, 5):
        said = split(lesson.caption)
        found = sum(word in separators and after not in IDIOMS for word, after in pairwise([*said, ""]))
        assert found == max(0, len(parse(lesson.caption, FULL).things) - 1), lesson.caption


def test_attributes_can_be_learnt():
    torch.manual_seed(0)
    captions = [f"a {color} {kind}" for color in ("red", "blue") for kind in ("ball", "box")]
    batch = {
        "caption": torch.tensor([WORLD.encode(caption, 8) for caption in captions]),
        "labels": torch.tensor([[0, 0], [0, 1], [1, 0], [1, 1]]),
    }
    objective = AttributeObjective(TextEncoder(TextConfig(len(WORLD), 8, 16, 1, 2)), [2, 2])
    optimizer = torch.optim.Adam([p for _, p in objective.parameters()], lr=0.01)
    for _ in range(60):
        loss, figures = objective.loss(batch, torch.Generator())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert figures["right"] == 1
    assert loss < 0.1
