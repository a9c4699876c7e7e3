"""Fixed: the time budget, the metric, and the hidden truth behind it. Agents never edit this file.

A training is described by its knobs. The truth is a smooth landscape over them: every knob has a best value or does
not matter, and a few do not start at theirs. What a run measures is the truth, plus noise that depends on the knobs,
the seed and the GPU, plus an offset that belongs to the GPU.
"""

import json
import math
import os
import random
import time
from pathlib import Path

TIME_BUDGET = float(os.environ.get("TIME_BUDGET", "1.0"))  # seconds
MAX_SEQ_LEN = 2048  # tokens
STEPS = 40  # of every training, however long

FLOOR = 0.9832  # val_bpb with every knob at its best
START_LOSS = 9.0  # nats per token of an untrained model
BYTES_PER_TOKEN = 4.0
MEMORY_MB = 81559.0  # of the pretended GPU

# Best value, and what it costs to be off it, in val_bpb per squared doubling.
DOUBLINGS = {
    "depth": (10.0, 0.0200),
    "aspect_ratio": (64.0, 0.0120),
    "head_dim": (128.0, 0.0),
    "total_batch_size": (2.0**18, 0.0040),
    "embedding_lr": (0.9, 0.0040),
    "unembedding_lr": (0.004, 0.0040),
    "scalar_lr": (0.5, 0.0),
}
# The same for knobs that may be zero: best value, the step that counts as one unit, and the cost of a squared unit.
UNITS = {
    "weight_decay": (0.1, 0.1, 0.0015),
    "warmup_ratio": (0.0, 0.1, 0.0020),
    "warmdown_ratio": (0.7, 0.2, 0.0030),
    "final_lr_frac": (0.05, 0.05, 0.0007),
}
MATRIX_LR = (0.03, 0.0120)  # as in DOUBLINGS, at a batch of 2**18: the best rate grows with the root of the batch
FULL_WINDOWS = (0.25, 0.0040)  # best share of full attention windows, and the cost of being off it by all of them


def true_val_bpb(knobs):
    """What a training with these knobs reaches on average."""
    cost = sum(scale * math.log2(knobs[name] / best) ** 2 for name, (best, scale) in DOUBLINGS.items())
    cost += sum(scale * ((knobs[name] - best) / unit) ** 2 for name, (best, unit, scale) in UNITS.items())
    best, scale = MATRIX_LR
    cost += scale * math.log2(knobs["matrix_lr"] / (best * math.sqrt(knobs["total_batch_size"] / 2**18))) ** 2
    best, scale = FULL_WINDOWS
    pattern = knobs["window_pattern"]
    cost += scale * (pattern.count("L") / len(pattern) - best) ** 2
    return FLOOR + cost


def gpu_offset(gpu, spread):
    """How much higher this GPU measures everything; without a GPU there is no offset."""
    return spread * random.Random(f"gpu {gpu}").gauss() if gpu else 0.0


class Training:
    """One pretended training of a model with these knobs, on the GPU and with the seed that the environment names."""

    def __init__(self, **knobs):
        problem = json.loads(Path(__file__).with_name("problem.json").read_text())
        sigma = float(os.environ.get("SYNTHETIC_SIGMA") or problem["sigma"])
        seed, gpu = os.environ.get("SWARM_SEED", "42"), os.environ.get("CUDA_VISIBLE_DEVICES", "")
        self.knobs, self.gpu = knobs, gpu
        self.fault = os.environ.get("SYNTHETIC_FAULT") or problem["fault"]
        self.noise = random.Random(f"{seed} {gpu} {sorted(knobs.items())}")
        self.value = true_val_bpb(knobs) + sigma * self.noise.gauss() + gpu_offset(gpu, problem["offset"] * sigma)
        self.width = math.ceil(knobs["depth"] * knobs["aspect_ratio"] / knobs["head_dim"]) * knobs["head_dim"]
        self.num_params_m = (12 * knobs["depth"] * self.width**2 + 2 * 8192 * self.width) / 1e6
        self.peak_vram_mb = self._memory()

    def loss(self, progress):
        """Training loss at this share of the time: it falls fast, then slowly, and jitters from step to step."""
        if self.fault == "crash" and progress > 0.3:
            raise RuntimeError("mat1 and mat2 shapes cannot be multiplied (2048x512 and 640x2048)")
        if self.fault == "hang" and progress > 0.3:
            time.sleep(86400)
        if progress > 0.3 and (self.fault == "nan" or self.knobs["matrix_lr"] > 0.3 or self.knobs["embedding_lr"] > 8):
            return math.nan
        final = self.value * BYTES_PER_TOKEN * math.log(2)
        return final + (START_LOSS - final) * math.exp(-12 * progress**0.7) + 0.01 * self.noise.gauss()

    def evaluate_bpb(self):
        """The metric of the finished training: bits per byte of text it never saw."""
        return self.value

    def _memory(self):
        """Peak memory in MB; where the GPU has less, this fails as torch does."""
        knobs = self.knobs
        assert knobs["total_batch_size"] % (knobs["device_batch_size"] * MAX_SEQ_LEN) == 0, "the batch does not divide"
        wanted = 5000 + 40000 * (knobs["device_batch_size"] / 128) * (knobs["depth"] / 8) * (self.width / 512)
        if wanted > MEMORY_MB or self.fault == "oom":
            raise MemoryError(f"torch.OutOfMemoryError: CUDA out of memory. Tried to allocate {wanted / 1024:.2f} GiB.")
        return wanted
