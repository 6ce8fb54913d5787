"""Makes `spec/vectors/merge/fp8.json`: what PyTorch makes of numbers and matrices in FP8. Run once, by hand, with the
Python of `scripts/install-mergekit`: `python scripts/merge-fp8-vectors.py > spec/vectors/merge/fp8.json`."""

import hashlib
import json

import torch

TYPES = {"F8_E4M3": (torch.float8_e4m3fn, 448.0), "F8_E5M2": (torch.float8_e5m2, 57344.0)}
# Around every boundary of both types: halves, subnormals, the largest, and beyond it.
EDGES = [0.0, 2.0**-9, 2.0**-10, 1.5 * 2**-10, 2.0**-16, 2.0**-17, 1.5 * 2**-17, 2.0**-6, 2.0**-14, 1.0625, 1.1875]
EDGES += [1.125, 1.375, 240.0, 447.9, 448.0, 463.9, 464.0, 1e5, 57344.0, 61439.0, 61440.0, 1e9, 3.4e38, 1e-45, 0.1, 0.3]


NUMBERS = "((7919 i mod 4096) - 2047.5) / 4096 * (1 + floor(i / 1000) mod 7), exact in f32"


def converted(x, name):
    dtype, largest = TYPES[name]
    return x.clamp(-largest, largest).to(dtype).view(torch.uint8)


def numbers(rows, columns):
    i = torch.arange(rows * columns, dtype=torch.int64)
    x = ((i * 7919 % 4096).double() - 2047.5) / 4096 * (1 + (i // 1000) % 7).double()
    return x.float().reshape(rows, columns)


def matrix(name, rows, columns, block):
    x = numbers(rows, columns)
    dtype, largest = TYPES[name]
    down, across = block
    grid = [[x[r : r + down, c : c + across].abs().max() / largest for c in range(0, columns, across)] for r in range(0, rows, down)]
    scales = torch.tensor(grid, dtype=torch.float32)
    full = scales.repeat_interleave(down, 0).repeat_interleave(across, 1)[:rows, :columns]
    data = bytes(converted(x / full, name).flatten().tolist())
    bits = scales.view(torch.int32).flatten().tolist()
    return {
        "dtype": name,
        "shape": [rows, columns],
        "block": block,
        "scaleBits": bits,
        "first": data[:32].hex(),
        "sha256": hashlib.sha256(data).hexdigest(),
    }


edges = torch.tensor(EDGES + [-x for x in EDGES], dtype=torch.float32)
print(
    json.dumps(
        {
            "made": {"torch": torch.__version__},
            "conversions": {
                "bits": [b & 0xFFFFFFFF for b in edges.view(torch.int32).tolist()],
                **{name: bytes(converted(edges, name).tolist()).hex() for name in TYPES},
            },
            "numbers": NUMBERS,
            "matrices": [
                matrix(name, rows, columns, block)
                for name in TYPES
                for rows, columns, block in [(130, 260, [128, 128]), (9, 40, [1, 40]), (9, 40, [9, 40])]
            ],
        },
        indent=1,
    )
)
