"""Rules about Linux guests, one module per subject."""
