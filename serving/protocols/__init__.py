"""The protocols that the service speaks, a blueprint each."""
