"""Layer-wise generalization of vision networks to classes they have never seen.

`import unseen` loads nothing else; each name below loads what it needs when it is first used. See docs/python.md.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unseen.api import LayerScores, probe, probe_layers
    from unseen.backbones.cut import CutNetwork, cut
    from unseen.fine_tuned import FineTuned, load_encoder
    from unseen.probe_metric import ProbeMetric
    from unseen.runs.embed import Embeddings, embed
    from unseen.saved_run import SavedRun, load_run

__version__ = "0.1.0"
_HOMES = {
    "CutNetwork": "unseen.backbones.cut",
    "Embeddings": "unseen.runs.embed",
    "FineTuned": "unseen.fine_tuned",
    "LayerScores": "unseen.api",
    "ProbeMetric": "unseen.probe_metric",
    "SavedRun": "unseen.saved_run",
    "cut": "unseen.backbones.cut",
    "embed": "unseen.runs.embed",
    "load_encoder": "unseen.fine_tuned",
    "load_run": "unseen.saved_run",
    "probe": "unseen.api",
    "probe_layers": "unseen.api",
}
_PACKAGES = ("biases", "transfer")  # unseen.biases.low_pass(...), unseen.transfer.iimm(...)
__all__ = [
    "CutNetwork", "Embeddings", "FineTuned", "LayerScores", "ProbeMetric", "SavedRun", "cut", "embed", "load_encoder",
    "load_run", "probe", "probe_layers",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _PACKAGES:
        return import_module(f"unseen.{name}")
    if name not in _HOMES:
        raise AttributeError(
            f"module 'unseen' has no attribute {name!r}; it has {', '.join([*_HOMES, *_PACKAGES])}"
        )
    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES, *_PACKAGES])
