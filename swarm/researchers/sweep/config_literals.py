from __future__ import annotations
CONFIGS = ()
def read_config(text, suffix): return ()
