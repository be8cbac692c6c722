"""Registers `poolformer` with timm: a PoolFormer of any depth and width, which timm's own entry points do not allow.

Imported for its effect only, together with timm.
"""

from typing import Any

from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from timm.layers import GroupNorm1
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from timm.models.metaformer import MetaFormer
from torch import nn

# timm's registry looks this name up in the module of the entry point.
default_cfgs = generate_default_cfgs(
    {
        "poolformer": {
            "url": "",
            "num_classes": 1000,
            "input_size": (3, 224, 224),
            "mean": IMAGENET_DEFAULT_MEAN,
            "std": IMAGENET_DEFAULT_STD,
            "first_conv": "stem.conv",
            "classifier": "head.fc",
        }
    }
)


@register_model  # type: ignore[untyped-decorator]  # timm ships no types
def poolformer(pretrained: bool = False, **options: Any) -> nn.Module:
    """A PoolFormer as timm's `poolformer_s12`, with `depths`, `dims` and every other setting open.

    Args:
        pretrained: There are no weights for it; True is refused by timm.
        **options: Settings of timm's `MetaFormer`.
    """
    architecture = {
        "downsample_norm": None,
        "mlp_act": nn.GELU,
        "mlp_bias": True,
        "norm_layers": GroupNorm1,
        "layer_scale_init_values": 1e-5,
        "res_scale_init_values": None,
        "use_mlp_head": False,
    }
    network: nn.Module = build_model_with_cfg(
        MetaFormer, "poolformer", pretrained, **{**architecture, **options}
    )
    return network
