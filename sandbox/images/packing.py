"""Layers as bytes: tar, gzip and zstd, the same from every Python and every zlib."""

from __future__ import annotations

import io
import struct
import tarfile
import zlib
from collections.abc import Mapping

Files = Mapping[str, bytes]
_ZSTD_BLOCK = 128 * 1024  # the format's largest


def tar(files: Files) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in sorted(files.items()):
            member = tarfile.TarInfo(name.lstrip("/"))
            member.size, member.mode = len(content), 0o644
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def gzip(content: bytes) -> bytes:
    """Store the content without compression: zlib's output for the same bytes differs between its versions."""
    blocks = _blocks(content, 0xFFFF)
    stored = [
        struct.pack("<BHH", number == len(blocks), len(block), len(block) ^ 0xFFFF) + block
        for number, block in enumerate(blocks, 1)
    ]
    trailer = struct.pack("<II", zlib.crc32(content), len(content) & 0xFFFFFFFF)
    return b"".join([b"\x1f\x8b\x08\0\0\0\0\0\0\xff", *stored, trailer])


def zstd(content: bytes) -> bytes:
    """Store the content as one frame of raw blocks (RFC 8878); Python has no zstd before 3.14."""
    blocks = _blocks(content, _ZSTD_BLOCK)
    raw = [
        struct.pack("<I", (number == len(blocks)) | len(block) << 3)[:3] + block
        for number, block in enumerate(blocks, 1)
    ]
    # Descriptor 0xA0: a single segment whose size follows in four bytes, no checksum.
    return b"".join([b"\x28\xb5\x2f\xfd\xa0", struct.pack("<I", len(content)), *raw])


def _blocks(content: bytes, size: int) -> list[bytes]:
    return [content[start : start + size] for start in range(0, max(len(content), 1), size)]
