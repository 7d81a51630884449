"""What can go wrong in training that is not the fault of a declaration or of the data."""


class TrainingError(Exception):
    """A training that gave no artifact; the message says why and what to do."""
