"""Scores of one layer's embeddings by which a layer can be chosen without labels of the unseen classes.

Pure functions of embeddings (N, D), a float each; NaN where a layer has no such score, and is not chosen. All are the
same for embeddings times any positive number. `unseen.selector_table` lists them with sources and directions.

Legend: N images, D features, C classes, k clusters.
"""

from unseen.layer_selection.clusters import kmeans_silhouette, start_agreement, subset_nmi, umap_silhouette
from unseen.layer_selection.discriminant import lidar, neural_collapse
from unseen.layer_selection.intrinsic_dimension import two_nn
from unseen.layer_selection.ranks import effective_rank, participation_ratio, rankme

__all__ = [
    "effective_rank",
    "kmeans_silhouette",
    "lidar",
    "neural_collapse",
    "participation_ratio",
    "rankme",
    "start_agreement",
    "subset_nmi",
    "two_nn",
    "umap_silhouette",
]
