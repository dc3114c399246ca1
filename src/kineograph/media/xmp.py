"""The digital source type of IPTC as an XMP packet inside a finished file, where photo software looks for it.

Sources: XMP Specification Part 3 (Adobe, 2020), sections 1.1.3 (JPEG), 1.1.5 (PNG) and 2.2 (MPEG-4, the box
`uuid`); IPTC Photo Metadata Standard, Digital Source Type.
"""

from __future__ import annotations

import zlib
from pathlib import Path

_BOX = bytes.fromhex("BE7ACFCB97A942E89C71999491E3AFAC")
_JPEG_NAMESPACE = b"http://ns.adobe.com/xap/1.0/\0"
_PNG_KEYWORD = b"XML:com.adobe.xmp\0\0\0\0\0"  # uncompressed, of no language
_PNG_END = 12  # bytes of the chunk IEND

_PACKET = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
 Iptc4xmpExt:DigitalSourceType="{source}"/></rdf:RDF></x:xmpmeta>
<?xpacket end="r"?>"""


def add_source_type(file: Path, source: str) -> None:
    """Write `source`, a URI of IPTC's vocabulary, into an mp4, mov, m4v, png or jpg; leave others alone."""
    packet = _PACKET.format(source=source).encode()
    match file.suffix.lower():
        case ".mp4" | ".mov" | ".m4v":
            with file.open("ab") as end:
                end.write((24 + len(packet)).to_bytes(4, "big") + b"uuid" + _BOX + packet)
        case ".png":
            _insert(file, file.stat().st_size - _PNG_END, _png_chunk(b"iTXt", _PNG_KEYWORD + packet))
        case ".jpg" | ".jpeg":
            body = _JPEG_NAMESPACE + packet
            _insert(file, 2, b"\xff\xe1" + (2 + len(body)).to_bytes(2, "big") + body)


def _png_chunk(kind: bytes, body: bytes) -> bytes:
    check = zlib.crc32(kind + body).to_bytes(4, "big")
    return len(body).to_bytes(4, "big") + kind + body + check


def _insert(file: Path, at: int, piece: bytes) -> None:
    data = file.read_bytes()
    file.write_bytes(data[:at] + piece + data[at:])
