"""Probes: pure functions that score how well classes separate in the embeddings of one layer."""

from unseen.probes.clustering import ClusterAgreement, kmeans_agreement, kmeans_nmi
from unseen.probes.discovery import cluster_accuracy
from unseen.probes.ensembles import ensemble_embeddings
from unseen.probes.few_shot import few_shot_accuracy
from unseen.probes.inputs import ProbeWarning
from unseen.probes.linear import linear_probe_accuracy
from unseen.probes.neighbors import NeighborAgreement, neighbor_agreement, r_precision
from unseen.probes.suite import PendingScores, ProbePool, ProbeSuite, run_probes

__all__ = [
    "ClusterAgreement",
    "NeighborAgreement",
    "PendingScores",
    "ProbePool",
    "ProbeSuite",
    "ProbeWarning",
    "cluster_accuracy",
    "ensemble_embeddings",
    "few_shot_accuracy",
    "kmeans_agreement",
    "kmeans_nmi",
    "linear_probe_accuracy",
    "neighbor_agreement",
    "r_precision",
    "run_probes",
]
