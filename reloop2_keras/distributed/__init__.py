"""More than one process: Ray for logs, memories and serving; data-parallel training."""
