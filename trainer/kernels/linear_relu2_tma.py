"""The products of linear_relu2.py once more, persistent and with tensor descriptors: for Hopper and newer.

It races against cuBLAS as the kernel beside it does; linear_relu2.py takes the faster of those that win. Not measured
on a GPU.
"""

from __future__ import annotations

import torch

from trainer.kernels import linear_relu2

NAME = "linear_relu2_tma"


def probe(device: torch.device) -> float:
    """The largest error of the kernels on small matrices, relative to fp32.

    Raises:
        RuntimeError: the GPU is older than Hopper, which moves whole tiles by itself.
    """
    if device.type == "cuda" and torch.cuda.get_device_capability(device) < (9, 0):
        raise RuntimeError("this GPU is older than Hopper: tensor descriptors would be pointers in disguise")
    return linear_relu2.error_of(linear_relu2.triton_of(NAME), device)


def race(device: torch.device) -> float:
    """How many times as fast the kernels are as cuBLAS and one more pass over its product."""
    return linear_relu2.speed_of(linear_relu2.triton_of(NAME), device)
