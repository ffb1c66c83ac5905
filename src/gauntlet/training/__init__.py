"""Training: settings, data on the device, the loop, and the import of published checkpoints."""
