import time
from pathlib import Path

import codec

start, whole, packed = time.perf_counter(), 0, 0
for path in sorted(Path("corpus").iterdir()):
    data = path.read_bytes()
    small = codec.compress(data)
    if codec.decompress(small) != data:
        raise SystemExit(f"error: round_trip: 1 file differs: {path}")
    whole, packed = whole + len(data), packed + len(small)
print(f"bytes_in={whole} bytes_out={packed} compression_ratio={whole / packed:.3f}x in {time.perf_counter() - start:.3f}s")
