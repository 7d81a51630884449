"""Pictures: decoded, prepared as a network takes them, and classified."""

PREPARATION = 1
"""The version of `prepare: garment`, to be raised with every change of what it makes of a picture.
Artifacts say with which one they were trained; it is a warning if they are served with another."""
