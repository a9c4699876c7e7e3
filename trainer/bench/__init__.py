"""How fast the trainer is, part by part, against references and against another train.py.

    python -m trainer.bench                                    # the parts of a step; at CPU size on a CPU
    python -m trainer.bench --only muon,step --json FILE
    python -m trainer.bench --all --json FILE                  # also parity, start-up, the referee, neighbours
    python -m trainer.bench --against PATH/TO/train.py         # any train.py of autoresearch's shape, and ours, in turn

Needs a prepared corpus (`python prepare.py`) for everything that trains or loads. A part that fails says why in its
last row, and the others go on; FILE is complete after each part. Exit codes: 0 all measured, 1 a part failed, 2 nothing
was measured because the arguments, the settings, the corpus or the other train.py would not do.
"""
