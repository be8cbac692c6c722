"""Networks whose layers can be read: each knows its taps, none knows data or Lightning.

Nothing is re-exported here, so that naming a specification (`unseen.backbones.timm.TimmSpec`) imports no torch.
"""
