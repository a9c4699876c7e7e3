"""A scripted researcher: it tries the knobs and the known structures of a training file, without any model."""
