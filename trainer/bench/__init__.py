"""How fast the trainer is, part by part, against references and against another train.py.

    python -m trainer.bench                                    # the parts of a step; at CPU size on a CPU
    python -m trainer.bench --only muon,loader --json FILE
    python -m trainer.bench --all --json FILE                  # also parity, start-up, the referee, neighbours
    python -m trainer.bench --against PATH/TO/train.py         # any train.py of autoresearch's shape, and ours, in turn

Needs a prepared corpus (`python prepare.py`) for everything that trains or loads.
"""
