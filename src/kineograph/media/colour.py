"""A decoded frame, whatever its pixel format, matrix, range, siting and rotation → upright sRGB bytes."""

from __future__ import annotations

import struct
from fractions import Fraction
from typing import cast

import numpy as np
from av import VideoFrame
from av.filter import Graph
from av.filter.context import FilterContext
from av.sidedata.sidedata import SideData

from kineograph.video import Frames

Turn = tuple[int, int, int, int]  # the display matrix's upper left: x' = a x + c y, y' = b x + d y

UPRIGHT: Turn = (1, 0, 0, 1)
# The scaler's fast paths are off by up to 3 steps of 255; with these flags it rounds correctly.
EXACT = "flags=bicubic+accurate_rnd+full_chroma_int+full_chroma_inp"
_MATRICES = {1: "bt709", 4: "fcc", 5: "bt601", 6: "bt601", 7: "smpte240m", 9: "bt2020", 10: "bt2020"}
_TRANSFERS = {16: "PQ", 18: "HLG"}
_FULL_RANGE = 2
# Of 4:2:0 chroma that no one has tagged, these decoders tell the position; all others' is on the left.
_KNOWS_SITING = ("h264", "hevc", "mjpeg")


class Painter:
    """Turns the frames of one stream into images (H, W, 3) uint8, all sized and turned like the `first`."""

    def __init__(self, codec: str, first: VideoFrame) -> None:
        self._siting = "auto" if codec in _KNOWS_SITING else "left"
        self._target = f"w={first.width}:h={first.height}:out_range=full"
        self._turn = turn_of(first)
        self._graphs: dict[tuple[object, ...], Graph] = {}  # the last one used

    def paint(self, frame: VideoFrame) -> Frames:
        key = (frame.width, frame.height, frame.format.name, frame.colorspace, frame.color_range)
        if key not in self._graphs:
            self._graphs = {key: scaling_graph(frame, f"{self._source(frame)}:{self._target}", "rgb24")}
        self._graphs[key].vpush(frame)
        return orient(rgb_bytes(self._graphs[key].vpull()), self._turn)

    def _source(self, frame: VideoFrame) -> str:
        if frame.format.is_rgb:
            return "in_range=full"
        span = "full" if is_full_range(frame) else "limited"
        return f"in_color_matrix={matrix_of(frame)}:in_range={span}:in_chroma_loc={self._siting}"


def scaling_graph(template: VideoFrame, options: str, pixel_format: str) -> Graph:
    """A one-in one-out filter graph: libswscale with `options`, exact rounding, into `pixel_format`."""
    graph = Graph()
    graph.threads = 1
    scale = graph.add("scale", f"{options}:{EXACT}")
    graph.link_nodes(
        buffer_for(graph, template), scale, graph.add("format", pixel_format), graph.add("buffersink")
    ).configure()
    return graph


def buffer_for(graph: Graph, template: VideoFrame) -> FilterContext:
    """The graph's entrance, for frames like the template."""
    return graph.add_buffer(
        width=template.width, height=template.height, format=template.format, time_base=Fraction(1, 1000)
    )


def rgb_bytes(frame: VideoFrame) -> Frames:
    """The pixels (H, W, 3) of a frame in rgb24."""
    assert frame.format.name == "rgb24", frame.format
    return frame.to_ndarray().astype(np.uint8, copy=False)


def matrix_of(frame: VideoFrame) -> str:
    """The frame's Y'CbCr matrix; untagged: BT.709 from 720 lines up, BT.601 below, as players do."""
    return _MATRICES.get(frame.colorspace, "bt709" if frame.height >= 720 else "bt601")


def is_full_range(frame: VideoFrame) -> bool:
    return frame.color_range == _FULL_RANGE or frame.format.name.startswith("yuvj")


def turn_of(frame: VideoFrame) -> Turn:
    """How the picture is to be turned or mirrored for display; `UPRIGHT` where the frame doesn't say."""
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return UPRIGHT
    a, b, _, c, d = struct.unpack("=5i", bytes(cast(SideData, matrix))[:20])
    return a, b, c, d


def orient(image: Frames, turn: Turn) -> Frames:
    """The image (H, W, 3) turned and mirrored to the nearest quarter turn of the display matrix `turn`."""
    a, b, c, d = turn
    if swaps_axes(turn):
        image, a, d = image.transpose(1, 0, 2), c, b
    return image[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]


def swaps_axes(turn: Turn) -> bool:
    a, b, c, d = turn
    return abs(b) + abs(c) > abs(a) + abs(d)


def notes_on(frame: VideoFrame) -> list[str]:
    """What turning this frame into RGB leaves out or assumes."""
    notes = []
    if turn_of(frame) not in (UPRIGHT, (65536, 0, 0, 65536)):
        notes.append("The file's rotation flag is applied.")
    if frame.format.components[0].bits > 8:
        notes.append(f"{frame.format.components[0].bits} bits per channel are reduced to 8.")
    if not frame.format.is_rgb and frame.colorspace not in _MATRICES:
        matrix = matrix_of(frame).replace("bt", "BT.")
        notes.append(f"The colour matrix isn't tagged: {matrix} is assumed.")
    if frame.color_trc in _TRANSFERS:
        notes.append(f"High dynamic range ({_TRANSFERS[frame.color_trc]}) is not tone-mapped.")
    if frame.interlaced_frame:
        notes.append("The video is interlaced and stays so.")
    return notes
