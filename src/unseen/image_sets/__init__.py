"""Public benchmarks on disk: their images, what counts as right, and corruptions made on the fly."""
