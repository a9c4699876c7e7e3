"""One GPU's research loop: propose, claim, edit, check, run, record. `loop` reads top to bottom."""
