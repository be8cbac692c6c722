"""Layer-wise generalization of vision networks to classes they have never seen."""

__version__ = "0.1.0"
