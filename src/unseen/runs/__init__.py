"""From a configuration to a run: the only place that knows Hydra."""
