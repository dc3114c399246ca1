"""From files to a canvas: the fit rule, lengths, rates, masks, and what is refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from kineograph.errors import MediaError, RequestError
from kineograph.fitting import NOTHING, UNTOLD, canvas_of, fit, target_size
from kineograph.media.encode import open_encoder, save_image
from kineograph.request import Keyframe, Request

NATIVE = {"width": 64, "height": 48, "fps": 8.0, "window": 9}


def gradient(width, height):
    """A picture that is brighter to the right and redder to the bottom."""
    picture = np.zeros((height, width, 3), np.uint8)
    picture[..., 1] = np.linspace(0, 255, width)[None]
    picture[..., 0] = np.linspace(0, 255, height)[:, None]
    return picture


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """wide.png and tall.png; clip.mp4 with 16 frames of growing grey, 128x96 at 16 fps; tall.mkv; masks."""
    folder = tmp_path_factory.mktemp("files")
    save_image(folder / "wide.png", gradient(128, 48), {})
    save_image(folder / "tall.png", gradient(64, 128), {})
    mask = np.zeros((96, 128, 3), np.uint8)
    mask[:, :64] = 255
    save_image(folder / "left.png", mask, {})
    save_image(folder / "black.png", mask * 0, {})
    with open_encoder(folder / "short.mkv", 128, 96, 8, {}) as encoder:
        encoder.write(np.stack([mask] * 3))
    with open_encoder(folder / "tall.mkv", 48, 96, 8, {}) as encoder:
        encoder.write(np.full((5, 96, 48, 3), 90, np.uint8))
    with open_encoder(folder / "clip.mp4", 128, 96, 16, {}) as encoder:
        greys = np.arange(16, dtype=np.uint8)[:, None, None, None] * 15
        encoder.write(np.broadcast_to(greys, (16, 96, 128, 3)).copy())
    return folder


def canvas_for(files, **fields):
    for name in ("video", "mask"):
        if "." in fields.get(name, "") and "," not in fields[name]:
            fields[name] = str(files / fields[name])
    if "images" in fields:
        fields["images"] = tuple(Keyframe(str(files / path), at) for path, at in fields["images"])
    return canvas_of(Request(**({"prompt": "a"} | fields)), **NATIVE)


# The fit rule

sides = st.integers(8, 200)


@settings(max_examples=40, deadline=None)
@given(sides, sides, st.integers(8, 64).map(lambda side: 2 * side), st.integers(8, 64).map(lambda s: 2 * s))
def test_fit_fills_the_frame_and_keeps_the_centre(columns, rows, width, height):
    flat = np.full((rows, columns, 3), (10, 200, 90), np.uint8)
    fitted = fit(flat, width, height)
    assert fitted.shape == (height, width, 3)
    assert (fitted == flat[0, 0]).all()
    mirrored = fit(gradient(columns, rows)[:, ::-1], width, height)[:, ::-1].astype(int)
    assert np.abs(mirrored - fit(gradient(columns, rows), width, height)).max() <= 1


@settings(max_examples=40, deadline=None)
@given(sides, sides)
def test_pad_keeps_the_shape_inside_the_size(columns, rows):
    if max(columns, rows) / min(columns, rows) > 2.5:
        return
    width, height = target_size((columns, rows), (64, 48), "pad")
    assert width <= 64
    assert height <= 48
    assert width % 2 == height % 2 == 0
    assert width == 64 or height == 48
    assert abs(width / columns * rows - height) <= 1 + rows / columns


def test_a_fitting_picture_is_left_alone():
    picture = gradient(64, 48)
    assert fit(picture, 64, 48) is picture


def test_crop_cuts_both_sides_and_says_so(files):
    canvas = canvas_for(files, images=[("wide.png", None)])
    assert (canvas.width, canvas.height) == (64, 48)
    assert 60 <= canvas.frames[0, 0, 0, 1] <= 68  # a quarter of the width is cut off on the left
    assert any("cropped" in note for note in canvas.notes)


def test_pad_keeps_all(files):
    canvas = canvas_for(files, images=[("wide.png", None)], fit="pad")
    assert (canvas.width, canvas.height) == (64, 24)
    assert canvas.frames[0, 0, 0, 1] < 5
    assert canvas.frames[0, 0, -1, 1] > 250
    assert canvas.notes == ()


def test_too_thin_for_pad():
    with pytest.raises(RequestError, match="crop"):
        target_size((128, 8), (64, 48), "pad")


def test_what_reading_alters_is_said(files):
    """Of pictures, footage and masks alike."""
    clear = Image.fromarray(np.full((96, 128, 4), (255, 255, 255, 0), np.uint8))
    clear.save(files / "clear.png")
    laid = f"{files / 'clear.png'}: Transparent parts are laid over white."
    assert laid in canvas_for(files, images=[("clear.png", None)]).notes
    assert laid in canvas_for(files, video="clip.mp4", mask="clear.png").notes
    assert canvas_for(files, images=[("clear.png", 0), ("clear.png", 1)]).notes == (laid,)  # each once
    assert any("first frame" in note for note in canvas_for(files, images=[("clip.mp4", None)]).notes)


# Lengths, sizes and rates


def test_defaults_are_the_models_own(files):
    canvas = canvas_for(files)
    assert canvas.frames.shape == (9, 48, 64, 3)
    assert (canvas.fps, canvas.task, canvas.notes) == (8.0, "text", ())
    assert not canvas.known.any()


@pytest.mark.parametrize(
    ("fields", "length"),
    [({"frames": 5}, 5), ({"seconds": 2}, 16), ({"seconds": 2, "fps": 4}, 8), ({"seconds": 0.1}, 1)],
)
def test_length(files, fields, length):
    assert len(canvas_for(files, **fields)) == length


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"size": (66, 48)}, "64x48"),
        ({"size": (64, 50)}, "64x48"),
        ({"seconds": 0.05}, "shorter than one frame"),
        ({"seconds": 1300}, "more than 10000 frames"),
        ({"images": [("wide.png", 3)], "seconds": 2}, "after the end"),
        ({"images": [("wide.png", 0), ("wide.png", 0.01)]}, "same frame"),
        ({"video": "clip.mp4", "extend": 1300}, "more than 10000 frames"),
        ({"video": "clip.mp4", "interpolate": 2, "fps": 1}, "two are needed"),
        ({"video": "clip.mp4", "mask": "tall.png"}, "another shape"),
        ({"video": "clip.mp4", "mask": "black.png"}, "nothing to fill"),
        ({"video": "clip.mp4", "mask": "short.mkv"}, "has 3 frames and the video 8"),
    ],
)
def test_refused(files, fields, words):
    with pytest.raises(RequestError, match=words):
        canvas_for(files, **fields)


@pytest.mark.parametrize("fields", [{"images": [("none.png", 0)]}, {"video": "none.mp4", "extend": 1}])
def test_missing_files(files, fields):
    with pytest.raises(MediaError):
        canvas_for(files, **fields)


def test_another_rate_is_said(files):
    assert "learnt motion at 8" in canvas_for(files, fps=12).notes[0]


# Pictures


@pytest.mark.parametrize(
    ("images", "known", "task"),
    [
        ([("wide.png", None)], [0], "image"),
        ([("wide.png", 0)], [0], "image"),
        ([("wide.png", 0.5)], [4], "keyframes"),
        ([("wide.png", None), ("tall.png", None)], [0, 8], "keyframes"),
        ([("wide.png", None), ("tall.png", None), ("wide.png", None)], [0, 4, 8], "keyframes"),
        ([("wide.png", 0), ("tall.png", 2.0)], [0, 16], "keyframes"),
    ],
)
def test_keyframes_stand_at_their_times(files, images, known, task):
    canvas = canvas_for(files, images=images)
    assert np.flatnonzero(canvas.known_frames).tolist() == known
    assert canvas.task == task
    assert len(canvas) == max(9, known[-1] + 1)


def test_the_end_is_the_last_frame(files):
    canvas = canvas_for(files, images=[("wide.png", 2.0)], seconds=2)
    assert np.flatnonzero(canvas.known_frames).tolist() == [15]


# Footage: 16 frames at 16 fps are 8 frames at the native 8 fps


def test_footage_is_taken_at_the_native_rate(files):
    canvas = canvas_for(files, video="clip.mp4", extend=0.5)
    assert (len(canvas), canvas.past, canvas.fps, canvas.task) == (12, 8, 8.0, "prediction")
    assert (np.diff(canvas.frames[:8, 0, 0, 0].astype(int)) >= 25).all()
    assert any("16 frames per second are taken at 8" in note for note in canvas.notes)


def test_fps_overrides(files):
    canvas = canvas_for(files, video="clip.mp4", extend=0.5, fps=16)
    assert (len(canvas), canvas.past, canvas.fps) == (24, 16, 16.0)


def test_precede(files):
    canvas = canvas_for(files, video="clip.mp4", extend=-0.5)
    assert np.flatnonzero(canvas.known_frames).tolist() == list(range(4, 12))


def test_interpolation_multiplies_the_footages_own_rate(files):
    canvas = canvas_for(files, video="clip.mp4", interpolate=2)
    assert (len(canvas), canvas.fps) == (31, 32.0)
    canvas = canvas_for(files, video="clip.mp4", interpolate=2, fps=8)
    assert (len(canvas), canvas.fps) == (7, 8.0)


def test_mask_file_and_box_agree(files):
    from_file = canvas_for(files, video="clip.mp4", mask="left.png")
    from_box = canvas_for(files, video="clip.mp4", mask="0,0,0.5,1")
    assert not from_file.known[:, :, :32].any()
    assert from_file.known[:, :, 32:].all()
    np.testing.assert_array_equal(from_file.known, from_box.known)


def test_outpainting_keeps_all_of_the_footage_in_the_middle(files):
    canvas = canvas_for(files, video="tall.mkv", outpaint=True)
    assert canvas.frames.shape == (5, 48, 64, 3)
    assert (canvas.frames[:, :, 20:44] == 90).all()
    assert canvas.known[:, :, 20:44].all()
    assert not canvas.known[:, :, :20].any()
    assert not canvas.known[:, :, 44:].any()
    assert not any("cropped" in note for note in canvas.notes)


def test_there_is_nothing_to_outpaint_in_footage_of_the_same_shape(files):
    with pytest.raises(RequestError, match="another size"):
        canvas_for(files, video="clip.mp4", outpaint=True)


def test_a_video_as_mask(files):
    canvas = canvas_for(files, video="clip.mp4", mask="clip.mp4")
    assert canvas.known[:4].all()
    assert not canvas.known[5:].any()


def test_a_tiny_box_still_fills(files):
    canvas = canvas_for(files, video="clip.mp4", mask="0.5,0.5,0.0001,0.0001")
    assert 1 <= (~canvas.known[0]).sum() <= 4


def test_what_no_prompt_tells_is_left_in_a_removal(files):
    """Without a prompt, making begins with a part of the clip; else as far as it is told to."""
    prompt = {"video": "clip.mp4", "remove": True, "prompt": "nothing on grass"}
    untold = prompt | {"prompt": ""}
    told, left, same = (
        canvas_for(files, **fields) for fields in (prompt, untold, prompt | {"prompt": NOTHING})
    )
    assert (left.prompt, left.source.strength) == (same.prompt, same.source.strength) == (NOTHING, UNTOLD)
    assert (told.prompt, told.source.strength) == ("nothing on grass", 1.0)
