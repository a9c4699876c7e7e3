"""Named outcomes that end a verb. Everything else that is raised is a bug."""


class SwarmError(Exception):
    """One line for people, with the remedy. The command line prints it and exits 1."""

    exit_code = 1


class UsageError(SwarmError):
    """Bad input: nothing was changed. Exit code 2."""

    exit_code = 2


class Fenced(SwarmError):
    """The caller's lease was given to somebody else: whatever it holds is no longer its own."""


class Unavailable(SwarmError):
    """There is no answer now, though nothing is wrong with the question: ask it again."""


class MachineFault(SwarmError):
    """Run after run fails for what is no idea's fault: the slot should rest before it is tried again."""


class HostFault(MachineFault):
    """A MachineFault whose text begins with the name of its host."""
