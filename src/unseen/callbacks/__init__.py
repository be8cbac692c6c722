"""Where Lightning meets the probes."""
