"""Videos and animated gifs, through libav. Runs in the confined child only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from kineograph.media.colour import Painter, notes_on, swaps_axes, turn_of
from kineograph.media.formats import CODECS, Format, is_cut_short, readable_tags, unpack_comment
from kineograph.media.timing import Picture, constant_rate, is_variable
from kineograph.media.wire import Limits, Probe, Unreadable
from kineograph.video import Frames

_ATTACHED = Disposition.attached_pic | Disposition.timed_thumbnails
SEEKABLE = ("mov", "matroska")  # the others store no time stamps to find one's place by
SEEK_MARGIN = 1.0  # seconds: a container's key frames are found by decoding time, which runs ahead


class ContainerSource:
    """One file's best video stream: `probe`, and its pictures in order of time."""

    def __init__(self, file: BinaryIO, form: Format, limits: Limits) -> None:
        self._file, self._form, self._limits = file, form, limits
        if is_cut_short(file, form):
            raise Unreadable("is cut short, its end is missing: copy or download it again.")
        self._survey()

    def _open(self) -> tuple[InputContainer, VideoStream]:
        """A fresh reader from the start of the file: no other demuxer, decoder or protocol than allowed."""
        self._file.seek(0)
        whitelists = {"codec_whitelist": ",".join(CODECS), "protocol_whitelist": "none"}
        container = av.open(
            self._file, "r", format=self._form.demuxer, options=whitelists, metadata_errors="replace"
        )
        stream = _best(container)
        context = stream.codec_context
        context.thread_count = 1
        context.options = {"max_pixels": str(self._limits.frame_pixels)}
        if not context.width * context.height:
            raise Unreadable("tells no size of its frames: it is damaged or empty.")
        if context.width * context.height > self._limits.frame_pixels:
            raise Unreadable(
                f"claims frames of {context.width}x{context.height} pixels: scale it down to at most "
                f"{self._limits.frame_pixels / 1e6:.0f} megapixels."
            )
        return container, stream

    def _survey(self) -> None:
        """Go through all packets, which is quick, and decode the first frame, which shows the rest."""
        container, stream = self._open()
        times, end, first = [], 0.0, None
        for packet in container.demux(stream):
            if first is None:
                first = next(iter(packet.decode()), None)
            if packet.pts is not None and not packet.is_discard:
                times.append(float(packet.pts * packet.time_base))
                end = max(end, float((packet.pts + (packet.duration or 0)) * packet.time_base))
        if first is None:
            raise Unreadable("holds no frame that can be decoded: it is damaged or empty.")
        self._painter = Painter(stream.codec_context.name, first)
        self._rate(stream, sorted(times), end)
        self._describe(container, stream, first, len(times))

    def _rate(self, stream: VideoStream, times: list[float], end: float) -> None:
        claimed = float(stream.average_rate or stream.guessed_rate or 0)
        self._begin = times[0] if times else 0.0
        if len(times) > 1 and end <= times[-1]:  # the last picture's duration isn't stored
            end = times[-1] + (times[-1] - times[0]) / (len(times) - 1)
        self.native = constant_rate(times, end, claimed) if times and end > times[0] else claimed
        self._variable = is_variable(times, self.native) if times else False
        if not 0 < self.native <= self._limits.fps:
            raise Unreadable(f"claims {self.native:.6g} frames a second: re-encode it at a constant rate.")

    def _describe(
        self, container: InputContainer, stream: VideoStream, first: av.VideoFrame, frames: int
    ) -> None:
        width, height = first.width, first.height
        if swaps_axes(turn_of(first)):
            width, height = height, width
        self.probe = Probe(
            width=width,
            height=height,
            fps=self.native,
            frames=frames or None,
            seconds=max(frames, 1) / self.native,
            codec=stream.codec_context.codec.canonical_name,
            container=self._form.name,
            has_audio=bool(container.streams.audio),
            notes=(*self._stream_notes(container, stream), *notes_on(first)),
            metadata=self._metadata(container),
        )

    def _metadata(self, container: InputContainer) -> dict[str, str]:
        tags = container.metadata
        if self._form.name == "gif" and "comment" in tags:
            tags = unpack_comment(tags["comment"])
        return readable_tags(tags)

    def _stream_notes(self, container: InputContainer, stream: VideoStream) -> Iterator[str]:
        if container.streams.audio:
            yield "The sound is left out."
        if len(container.streams.video) > 1:
            yield f"Of {len(container.streams.video)} video streams, number {stream.index} is read."
        if self._variable:
            yield f"The frame rate varies: frames are placed at a constant {self.native:.6g} per second."
        shape = stream.sample_aspect_ratio
        if shape and shape != 1:
            yield f"Its pixels are {shape.numerator}:{shape.denominator}, not square; they are not stretched."

    def pictures(self, start: float) -> Iterator[Picture[av.VideoFrame]]:
        """Decoded frames from the last key frame before `start` (seconds) on, or from further back."""
        container, stream = self._open()
        assert stream.time_base is not None
        if start > SEEK_MARGIN and self._form.demuxer in SEEKABLE:
            goal = (self._begin + start - SEEK_MARGIN) / stream.time_base
            container.seek(int(goal), stream=stream)
        time = 0.0
        for frame in container.decode(stream):
            if frame.pts is not None:
                time = max(time, float(frame.pts * stream.time_base) - self._begin)
            end = time + (float(frame.duration * stream.time_base) or 1 / self.native)
            yield Picture(frame, time, end)
            time = end if frame.pts is None else time

    def paint(self, frame: av.VideoFrame) -> Frames:
        return self._painter.paint(frame)


def _best(container: InputContainer) -> VideoStream:
    """The video stream to read: no cover art; marked as default first, then the largest."""
    streams = [stream for stream in container.streams.video if not stream.disposition & _ATTACHED]
    if not streams:
        raise Unreadable("holds no video, only sound or cover art: choose another file.")
    readable = [s for s in streams if s.codec_context is not None and s.codec_context.name in CODECS]
    if not readable:
        context = streams[0].codec_context
        name = context.name if context is not None else "an unknown codec"
        raise Unreadable(f"is coded with {name}, which is not read: convert it to H.264.")
    default = Disposition.default
    return max(readable, key=lambda s: (bool(s.disposition & default), s.width * s.height, -s.index))
