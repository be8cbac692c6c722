"""Where images come from: one file a source, each a frozen dataclass that costs nothing to make."""
