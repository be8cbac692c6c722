"""Class names that the data set itself does not have: what CLIP's zero-shot captions call them.

From the list of class names that accompanies CLIP (Radford et al., arXiv 2103.00020; openai/CLIP, data/prompts.md),
with its spelling, because other words are other embeddings.
"""

from functools import cache

EUROSAT = {  # by the class names of torchvision
    "AnnualCrop": "annual crop land",
    "Forest": "forest",
    "HerbaceousVegetation": "brushland or shrubland",
    "Highway": "highway or road",
    "Industrial": "industrial buildings or commercial buildings",
    "Pasture": "pasture land",
    "PermanentCrop": "permanent crop land",
    "Residential": "residential buildings or homes or apartments",
    "River": "river",
    "SeaLake": "lake or sea",
}

_LIMIT = "red and white circle {} kph speed limit"
_WARNING = "red and white triangle {} warning"
_MUST = "blue circle with white {} mandatory"
GTSRB = [  # classes 0..42
    *(_LIMIT.format(speed) for speed in (20, 30, 50, 60, 70, 80)),
    "end / de-restriction of 80 kph speed limit",
    *(_LIMIT.format(speed) for speed in (100, 120)),
    "red and white circle red car and black car no passing",
    "red and white circle red truck and black car no passing",
    _WARNING.format("road intersection"),
    "white and yellow diamond priority road",
    "red and white upside down triangle yield right-of-way",
    "stop",
    "empty red and white circle",
    "red and white circle no truck entry",
    "red circle with white horizonal stripe no entry",
    *(
        _WARNING.format(danger)
        for danger in (
            "with exclamation mark",
            "with black left curve approaching",
            "with black right curve approaching",
            "with black double curve approaching",
            "rough / bumpy road",
            "car skidding / slipping",
            "with merging / narrow lanes",
            "with person digging / construction / road work",
            "with traffic light approaching",
            "with person walking",
            "with child and person walking",
            "with bicyle",
            "with snowflake / ice",
            "with deer",
        )
    ),
    "white circle with gray strike bar no speed limit",
    *(
        _MUST.format(direction)
        for direction in (
            "right turn arrow",
            "left turn arrow",
            "forward arrow",
            "forward or right turn arrow",
            "forward or left turn arrow",
            "keep right arrow",
            "keep left arrow",
        )
    ),
    "blue circle with white arrows indicating a traffic circle",
    "white circle with gray strike bar indicating no passing for cars has ended",
    "white circle with gray strike bar indicating no passing for trucks has ended",
]


@cache
def imagenet() -> dict[str, str]:
    """Return CLIP's name of each of ImageNet's 1,000 classes, by its folder (`n01440764`: tench).

    Raises:
        ValueError: open_clip, which has the names, is not installed.
    """
    from timm.data import ImageNetInfo

    try:
        from open_clip import IMAGENET_CLASSNAMES
    except ImportError as error:
        raise ValueError(
            "names of ImageNet's classes come with open_clip: run `pip install 'unseen[clip]'`, or set class_names"
        ) from error
    return dict(zip(ImageNetInfo("imagenet-1k").label_names(), IMAGENET_CLASSNAMES, strict=True))
