"""Declare a fully connected Keras network in YAML, train it, serve it."""
