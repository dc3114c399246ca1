"""Containers ↔ Video: reading in a confined child process, writing in one atomic step.

    probe.py    what a file holds, without its frames
    decode.py   a file → Video, or frame by frame
    encode.py   frames → mp4, mov, webm, mkv, gif, png frames, and single images
    sheets.py   several clips → one picture
    atomic.py   a file appears whole or not at all

Reading happens in two processes. `sandbox.py` stands in this one, `worker.py` is the child; `wire.py` is all
that they say to one another. Only the child touches a decoder: `containers.py` (libav), `images.py` (Pillow),
`colour.py` (any pixel format → upright RGB) and `timing.py` (time stamps → a constant rate).
"""
