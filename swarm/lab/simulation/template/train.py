"""A pretended pretraining script in the shape of autoresearch: agents edit this file, and nothing is really trained."""

import json
import os
import sys
import time
from pathlib import Path

from prepare import STEPS, TIME_BUDGET, Training

# ---------------------------------------------------------------------------
# Hyperparameters (edit these directly, no CLI flags needed)
# ---------------------------------------------------------------------------

# Model architecture
ASPECT_RATIO = 64  # model width = DEPTH * ASPECT_RATIO, rounded up to whole heads
HEAD_DIM = 128  # width of an attention head
WINDOW_PATTERN = "SSSL"  # attention windows over the layers: L=full, S=half context

# Optimization
TOTAL_BATCH_SIZE = 2**19  # tokens per optimizer step
EMBEDDING_LR = 0.6  # learning rate of the token embeddings
UNEMBEDDING_LR = 0.004  # learning rate of the head
MATRIX_LR = 0.04  # learning rate of the matrices
SCALAR_LR = 0.5  # learning rate of the per-layer scalars
WEIGHT_DECAY = 0.2  # of the matrices
WARMUP_RATIO = 0.0  # fraction of the time budget for learning rate warmup
WARMDOWN_RATIO = 0.5  # fraction of the time budget for learning rate warmdown
FINAL_LR_FRAC = 0.0  # final learning rate as a fraction of the initial one

# Model size
DEPTH = 8  # number of transformer layers
DEVICE_BATCH_SIZE = 128  # sequences per forward pass (reduce if out of memory)

# ---------------------------------------------------------------------------
# Training
# ---------------------------------------------------------------------------

t_start = time.time()
training = Training(
    aspect_ratio=ASPECT_RATIO,
    head_dim=HEAD_DIM,
    window_pattern=WINDOW_PATTERN,
    total_batch_size=TOTAL_BATCH_SIZE,
    embedding_lr=EMBEDDING_LR,
    unembedding_lr=UNEMBEDDING_LR,
    matrix_lr=MATRIX_LR,
    scalar_lr=SCALAR_LR,
    weight_decay=WEIGHT_DECAY,
    warmup_ratio=WARMUP_RATIO,
    warmdown_ratio=WARMDOWN_RATIO,
    final_lr_frac=FINAL_LR_FRAC,
    depth=DEPTH,
    device_batch_size=DEVICE_BATCH_SIZE,
)
run_folder = os.environ.get("SWARM_RUN_DIR")
heartbeats = (Path(run_folder, "heartbeat.jsonl") if run_folder else Path(os.devnull)).open("a", buffering=1)

t_start_training = time.time()
for step in range(1, STEPS + 1):
    time.sleep(max(0.0, t_start_training + TIME_BUDGET * step / STEPS - time.time()))
    loss = training.loss(step / STEPS)
    tokens, seconds = step * TOTAL_BATCH_SIZE, time.time() - t_start_training
    heartbeats.write(json.dumps({"step": step, "loss": loss, "tokens": tokens, "seconds": round(seconds, 3)}) + "\n")
    print(f"step {step:05d} ({100 * step / STEPS:.1f}%) | loss: {loss:.6f}")
    if not loss < 100:
        print("FAIL")
        sys.exit(1)

# ---------------------------------------------------------------------------
# Final summary
# ---------------------------------------------------------------------------

print("---")
print(f"val_bpb:          {training.evaluate_bpb():.6f}")
print(f"training_seconds: {seconds:.1f}")
print(f"total_seconds:    {time.time() - t_start:.1f}")
print(f"peak_vram_mb:     {training.peak_vram_mb:.1f}")
print("mfu_percent:      39.80")
print(f"total_tokens_M:   {tokens / 1e6:.1f}")
print(f"num_steps:        {STEPS}")
print(f"num_params_M:     {training.num_params_m:.1f}")
print(f"depth:            {DEPTH}")
print(f"visible_gpu:      {training.gpu or -1}")
