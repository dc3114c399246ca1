"""How each kind of video file is written: container, codec, options, and the way there from RGB."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from av import VideoFrame
from av.filter import Graph

from kineograph.media.colour import buffer_for, scaling_graph


@dataclass(frozen=True)
class Recipe:
    """graph: from an RGB frame like the one given to the frames that `codec` takes, one for one.

    yuv: tagged as BT.709, limited range. even: only even sizes. most_fps: frames per second.
    """

    muxer: str
    codec: str
    pixel_format: str
    graph: Callable[[VideoFrame], Graph]
    options: dict[str, str] = field(default_factory=dict)
    muxer_options: dict[str, str] = field(default_factory=dict)
    yuv: bool = False
    even: bool = False
    most_fps: float = 1000.0


def to_bt709(template: VideoFrame) -> Graph:
    # Chroma on the left is what players assume of H.264 and VP9.
    options = "in_range=full:out_range=limited:out_color_matrix=bt709:out_chroma_loc=left"
    return scaling_graph(template, options, "yuv420p")


def to_bgr(template: VideoFrame) -> Graph:
    return scaling_graph(template, "in_range=full:out_range=full", "bgr0")


def to_palette(template: VideoFrame) -> Graph:
    """The best 256 colours of each frame, with error diffusion. One palette for all would need all frames."""
    graph = Graph()
    graph.threads = 1
    source, split = buffer_for(graph, template), graph.add("split")
    palette = graph.add("palettegen", "stats_mode=single")
    paint, sink = graph.add("paletteuse", "new=1:dither=sierra2_4a"), graph.add("buffersink")
    source.link_to(split)
    split.link_to(paint, 0, 0)
    split.link_to(palette, 1, 0)
    palette.link_to(paint, 0, 1)
    paint.link_to(sink)
    graph.configure()
    return graph


def h264(muxer: str) -> Recipe:
    return Recipe(
        muxer,
        "libx264",
        "yuv420p",
        to_bt709,
        # With its macroblock tree, x264 reads memory it has not set: small clips differ from run to run.
        {"crf": "18", "preset": "medium", "x264-params": "mbtree=0"},
        # Without use_metadata_tags, tags with names of our own would be dropped.
        {"movflags": "+faststart+use_metadata_tags"},
        yuv=True,
        even=True,
    )


VP9 = {"crf": "22", "b": "0", "deadline": "good", "cpu-used": "3", "row-mt": "1"}
FFV1 = {"level": "3", "slicecrc": "1"}

RECIPES = {
    ".mp4": h264("mp4"),
    ".m4v": h264("mp4"),
    ".mov": h264("mov"),
    ".webm": Recipe("webm", "libvpx-vp9", "yuv420p", to_bt709, VP9, yuv=True),
    ".mkv": Recipe("matroska", "ffv1", "bgr0", to_bgr, FFV1),
    ".gif": Recipe("gif", "gif", "pal8", to_palette, most_fps=50.0),  # its delays are hundredths, 2 at least
}
