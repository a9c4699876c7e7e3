"""A train.py of autoresearch's shape, small enough for a CPU: what `trainer.bench --against` is tried on."""

import time

import torch
from torch import nn
from torch.nn import functional as F

from prepare import MAX_SEQ_LEN, TIME_BUDGET, Tokenizer, evaluate_bpb, make_dataloader

ROWS = 8
torch.manual_seed(42)
tokenizer = Tokenizer.from_directory()
vocab_size = tokenizer.get_vocab_size()
assert tokenizer.decode(tokenizer.encode("a b")) == "a b"


class Model(nn.Module):
    """A bigram table: the smallest model that learns."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(vocab_size, vocab_size)
        nn.init.zeros_(self.table.weight)

    def forward(self, idx, targets=None):
        logits = self.table(idx)
        return logits if targets is None else F.cross_entropy(logits.flatten(0, 1), targets.flatten())


model = Model()
optimizer = torch.optim.AdamW(model.parameters(), lr=0.05)
loader = make_dataloader(tokenizer, ROWS, MAX_SEQ_LEN, "train")
start, steps = time.time(), 0
while time.time() - start < TIME_BUDGET:
    x, y, epoch = next(loader)
    model(x, y).backward()
    optimizer.step()
    optimizer.zero_grad()
    steps += 1
seconds = time.time() - start
val_bpb = evaluate_bpb(model, tokenizer, ROWS)
print("---")
print(f"val_bpb:          {val_bpb:.6f}")
print(f"training_seconds: {seconds:.1f}")
print("peak_vram_mb:     0.0")
print(f"total_tokens_M:   {steps * ROWS * MAX_SEQ_LEN / 1e6:.3f}")
print(f"num_steps:        {steps}")
