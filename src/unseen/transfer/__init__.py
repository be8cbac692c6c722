"""Before fine-tuning a vision-language encoder: what its embeddings say of gain and forgetting (arXiv 2407.15731)."""

from unseen.transfer.emms import emms
from unseen.transfer.gbc import gbc
from unseen.transfer.h_score import h_score
from unseen.transfer.iimm import Iimm, iimm
from unseen.transfer.leep import leep, nleep
from unseen.transfer.logme import logme
from unseen.transfer.ncti import NctiParts, ncti, ncti_parts
from unseen.transfer.sample_need import SampleNeed, sample_need
from unseen.transfer.scoring import Scored, score_all
from unseen.transfer.sfda import sfda
from unseen.transfer.silhouette import silhouette
from unseen.transfer.table import SCORES, Needs, TransferScore
from unseen.transfer.transrate import transrate

__all__ = [
    "SCORES", "Iimm", "NctiParts", "Needs", "SampleNeed", "Scored", "TransferScore", "emms", "gbc", "h_score", "iimm",
    "leep", "logme", "ncti", "ncti_parts", "nleep", "sample_need", "score_all", "sfda", "silhouette", "transrate",
]  # fmt: skip
