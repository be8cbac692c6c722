"""Before fine-tuning a vision-language encoder: what its embeddings say of gain and forgetting (arXiv 2407.15731)."""

from unseen.transfer.iimm import Iimm, iimm

__all__ = ["Iimm", "iimm"]
