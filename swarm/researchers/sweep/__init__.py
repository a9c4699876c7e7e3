"""The sweep: a researcher without a model, which tries the knobs and the known structures of a training file."""
