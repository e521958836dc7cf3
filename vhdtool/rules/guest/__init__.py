"""Rules about guests of any system: what is asked of both, each answered by its own model."""
