"""The invisible mark: what it survives, and that it is not found where it is not."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import av
import media_clips as clips
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from kineograph.provenance.watermark import PUBLIC_KEY, Found, Watermark, detect, limit_of
from kineograph.provenance.watermark import payload as code
from kineograph.provenance.watermark.detection import MOST_CHANCE

payloads = st.integers(0, 2**32 - 1)
KEY, PAYLOAD = b"a key", 0xC0FFEE42


def textured(count: int = 12, height: int = 192, width: int = 256, seed: int = 0) -> clips.Array:
    """A smooth moving picture with some grain that stays where it is."""
    grain = np.random.default_rng(seed).normal(0, 3, (height, width, 1))
    return np.clip(clips.moving(count, height, width) + grain, 0, 255).astype(np.uint8)


def marked(frames: clips.Array, key: bytes = KEY, payload: int = PAYLOAD) -> clips.Array:
    return Watermark(key, payload, *frames.shape[1:3]).embed(frames)


def payload_of(found: Found | None) -> int | None:
    return None if found is None else found.payload


@settings(max_examples=8)
@given(key=st.binary(max_size=40), payload=payloads, seed=st.integers(0, 99))
def test_any_payload_comes_back_under_any_key(key: bytes, payload: int, seed: int) -> None:
    found = detect(marked(textured(2, 128, 128, seed), key, payload), [b"another", key])
    assert payload_of(found) == payload
    assert found is not None
    assert found.key == 1
    assert found.scale == 1
    assert not found.flipped
    assert found.confidence >= 1 - MOST_CHANCE


@settings(max_examples=5)
@given(cuts=st.lists(st.integers(0, 6), max_size=4))
def test_chunks_make_no_difference(cuts: list[int]) -> None:
    frames = textured(6, 48, 64)
    mark = Watermark(KEY, PAYLOAD, 48, 64)
    ends = [0, *sorted(cuts), 6]
    parts = [mark.embed(frames[a:b]) for a, b in pairwise(ends)]
    assert np.array_equal(np.concatenate(parts), mark.embed(frames))


def test_frames_are_not_changed_in_place() -> None:
    frames = textured(1, 64, 64)
    before = frames.copy()
    marked(frames)
    assert np.array_equal(frames, before)


def test_frames_come_one_by_one_as_well_as_together() -> None:
    frames = marked(textured(3))
    assert detect(frames, [KEY]) == detect([frames], [KEY])


@pytest.mark.parametrize("seed", range(3))
def test_nothing_is_found_without_a_mark_or_under_another_key(seed: int) -> None:
    frames = textured(2, 128, 192, seed)
    assert detect([frames], [KEY, PUBLIC_KEY]) is None
    assert detect([marked(frames)], [b"another key", PUBLIC_KEY]) is None


def test_nothing_is_found_in_nothing() -> None:
    assert detect([], [KEY]) is None
    assert detect([textured()], []) is None


def test_a_mirrored_clip_is_read() -> None:
    found = detect([marked(textured())[:, :, ::-1]], [KEY])
    assert payload_of(found) == PAYLOAD
    assert found is not None
    assert found.flipped


@pytest.mark.parametrize(("row", "column"), [(0, 0), (7, 31), (38, 51)])
def test_a_part_is_read(row: int, column: int) -> None:
    part = marked(textured())[:, row : row + 154, column : column + 205]
    assert payload_of(detect([part], [KEY])) == PAYLOAD


@pytest.mark.parametrize("scale", [0.5, 0.75, 1.25, 2.0])
def test_another_size_is_read(scale: float) -> None:
    frames = marked(textured(2, 240, 320))
    size = round(320 * scale), round(240 * scale)
    found = detect([np.asarray(Image.fromarray(frame).resize(size)) for frame in frames], [KEY])
    assert payload_of(found) == PAYLOAD
    assert found is not None
    assert found.scale == pytest.approx(scale, rel=0.01)


def coded(frames: clips.Array, crf: int) -> clips.Array:
    """Through H.264 and back."""
    encoder = av.CodecContext.create("libx264", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.height, encoder.width = frames.shape[1:3]
    encoder.pix_fmt, encoder.time_base = "yuv420p", Fraction(1, 25)
    encoder.options = {"crf": str(crf), "preset": "veryfast"}
    decoder = av.CodecContext.create("h264", "r")
    images = [av.VideoFrame.from_ndarray(frame, "rgb24") for frame in frames]
    for at, image in enumerate(images):
        image.pts = at
    packets = [packet for image in [*images, None] for packet in encoder.encode(image)]
    return np.stack([f.to_ndarray(format="rgb24") for p in [*packets, None] for f in decoder.decode(p)])


@pytest.mark.parametrize("crf", [18, 23, 28])
def test_a_codec_leaves_the_mark(crf: int) -> None:
    frames = marked(textured(16, 240, 320))
    assert payload_of(detect([coded(frames, crf)], [KEY])) == PAYLOAD


@settings(max_examples=5)
@given(height=st.integers(32, 80), width=st.integers(32, 80), seed=st.integers(0, 99))
def test_the_mark_is_faint(height: int, width: int, seed: int) -> None:
    for frames in (textured(1, height, width, seed), noise(1, height, width, seed)):
        assert clips.psnr(marked(frames), frames) >= 39.9
    assert clips.psnr(marked(large := textured(1, 360, 640, seed)), large) >= 42


def noise(count: int, height: int, width: int, seed: int) -> clips.Array:
    return np.random.default_rng(seed).integers(0, 256, (count, height, width, 3), np.uint8)


@settings(max_examples=6)
@given(height=st.integers(1, 70), width=st.integers(1, 70), count=st.integers(0, 2))
def test_any_size_is_taken(height: int, width: int, count: int) -> None:
    frames = noise(count, height, width, 0)
    out = marked(frames)
    assert out.shape == frames.shape
    assert out.dtype == np.uint8
    detect([out], [KEY])


@pytest.mark.parametrize("level", [0, 1, 128, 254, 255])
def test_levels_do_not_wrap_around(level: int) -> None:
    frames = np.full((1, 96, 96, 3), level, np.uint8)
    out = marked(frames)
    assert np.abs(out.astype(int) - level).max() <= 10
    assert payload_of(detect([out], [KEY])) in (PAYLOAD, None)


def test_grey_keeps_its_colour() -> None:
    out = marked(np.full((1, 64, 64, 3), 128, np.uint8))
    assert (out == out[..., :1]).all()


@settings(max_examples=20)
@given(payload=payloads, seed=st.integers(0, 999))
def test_the_code_mends_what_it_says(payload: int, seed: int) -> None:
    signs = code.encode(payload).astype(np.float32)
    wrong = np.random.default_rng(seed).choice(code.SIGNS, code.MENDED, replace=False)
    signs[wrong] *= -1
    found = code.decode(signs[None])
    assert found.checked[0]
    assert found.payload[0] == payload
    assert np.array_equal(found.signs[0], code.encode(payload))


def test_noise_has_no_check_sum() -> None:
    found = code.decode(np.random.default_rng(0).normal(0, 1, (50, code.SIGNS)).astype(np.float32))
    assert not found.checked.any()


def test_limits_are_sentences() -> None:
    assert limit_of(720, 1280, 240) is None
    for size in ((64, 64, 17), (32, 32, 1), (360, 640, 1)):
        sentence = limit_of(*size)
        assert sentence is not None
        assert sentence.endswith(".")
