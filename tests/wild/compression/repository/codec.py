"""Compresses with a little context."""

import zlib

LEVEL = 1
WINDOW = 9  # 9 to 15: log2 of the window


def compress(data: bytes) -> bytes:
    packer = zlib.compressobj(LEVEL, zlib.DEFLATED, WINDOW)
    return packer.compress(data) + packer.flush()


def decompress(data: bytes) -> bytes:
    return zlib.decompress(data)
