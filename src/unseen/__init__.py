"""Layer-wise generalization of vision networks to classes they have never seen.

`import unseen` loads nothing else; each name below loads what it needs when it is first used. See docs/python.md.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unseen.api import LayerScores, probe, probe_layers
    from unseen.probe_metric import ProbeMetric

__version__ = "0.1.0"
_HOMES = {
    "LayerScores": "unseen.api",
    "ProbeMetric": "unseen.probe_metric",
    "probe": "unseen.api",
    "probe_layers": "unseen.api",
}
__all__ = ["LayerScores", "ProbeMetric", "probe", "probe_layers"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'unseen' has no attribute {name!r}; it has {', '.join(_HOMES)}")
    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
