"""The machine beneath the runs: its processes, folders and GPUs, and what its kernel counts. No run is known here."""
