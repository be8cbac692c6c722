"""Two characters in one of 25 open typefaces, drawn from fonts that pip installs; no download: which typeface is it?

All fonts but two are under the SIL Open Font License 1.1; Caladea and Roboto are under the Apache License 2.0.
"""

from __future__ import annotations

import importlib.util
import random
import string
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, features

from unseen.data.catalog import Catalog, DataUnavailableError, Entry
from unseen.data.files import file_stamps
from unseen.data.sources.packaged import PackagedSource, folder_of

IMAGES_OF_EACH = 100
_SIDE = 64  # of a picture, in pixels
_SIZES = range(36, 49)  # of a font, in pixels; less where the characters would be wider than the picture
_WIDEST = 60
_SHIFT = 2  # at most so many pixels from the centre
_CHARACTERS = string.ascii_letters + string.digits
_DRAWING = "1"  # to be raised when the same fonts give other pictures
# (pip's package and version, import name, files): the versions are part of the pictures
_PACKAGES = (
    ("font-amatic-sc==0.0.4", "font_amatic_sc", ("AmaticSC-Bold.ttf", "AmaticSC-Regular.ttf")),
    ("font-caladea==0.0.2", "font_caladea", ("Caladea-Regular.ttf",)),
    ("font-fjallaone==0.1.7", "font_fjallaone", ("FjallaOne-Regular.ttf",)),
    ("font-fredoka-one==0.0.4", "font_fredoka_one", ("FredokaOne-Regular.ttf",)),
    (
        "font-hanken-grotesk==0.0.2",
        "font_hanken_grotesk",
        tuple(f"HankenGrotesk-{style}.otf" for style in ("Bold", "Italic", "Light", "Regular")),
    ),
    ("font-intuitive==0.0.4", "font_intuitive", ("Intuitive.ttf",)),
    ("font-lato==0.1.0", "font_lato", ("Lato-Regular.ttf",)),
    (
        "font-manrope==0.0.2",
        "font_manrope",
        tuple(f"Manrope-{style}.ttf" for style in ("ExtraBold", "Light", "Regular")),
    ),
    ("font-rhd==0.1.3", "font_rhd", ("RedHatDisplay-Regular.ttf",)),
    (
        "font-roboto==0.0.1",
        "font_roboto",
        tuple(f"Roboto-{style}.ttf" for style in ("Black", "Italic", "Regular", "Thin")),
    ),
    (
        "font-source-sans-pro==0.0.1",
        "font_source_sans_pro",
        tuple(f"SourceSansPro-{style}.ttf" for style in ("Black", "It", "Regular")),
    ),
    (
        "font-source-serif-pro==0.0.1",
        "font_source_serif_pro",
        tuple(f"SourceSerifPro-{style}.ttf" for style in ("Black", "It", "Regular")),
    ),
)
FACES = {
    file.partition(".")[0]: (requirement, module, file)
    for requirement, module, files in _PACKAGES
    for file in files
}


@dataclass(frozen=True, kw_only=True)
class Typefaces(PackagedSource):
    """A hundred pictures of each face, black on white, 64 x 64 pixels; the same ones in every run.

    Each shows two random letters or digits, at a random size and place.

    Attributes:
        default_unseen: One face of each of five families that nothing is trained on: a serif, a rounded, a
            handwritten and two sans-serif ones. They were chosen before any score was known.
    """

    default_unseen: tuple[str, ...] | None = (
        "Caladea-Regular",
        "FredokaOne-Regular",
        "Intuitive",
        "Lato-Regular",
        "RedHatDisplay-Regular",
    )

    def check(self) -> None:
        """Refuse a root, and fonts that are missing."""
        check_fonts("typefaces", self)

    def list(self) -> Catalog:
        """Return all images; they are not divided into training and test images."""
        return Catalog.of(
            [Entry(f"{face}/{i:02d}", face, "whole") for face in FACES for i in range(IMAGES_OF_EACH)]
        )

    def read(self, reference: str) -> Image.Image:
        """Draw a picture, 64 x 64 pixels, as RGB."""
        draw = random.Random(reference)  # of a text: its hash, the same on every machine
        characters = "".join(draw.choices(_CHARACTERS, k=2))
        return drawn(reference.partition("/")[0], characters, draw)

    def stamps(self, references: Sequence[str]) -> Sequence[str] | None:
        """Return for each image the stamp of its font's file, and the version of what draws it."""
        return stamps_of([reference.partition("/")[0] for reference in references])


def check_fonts(data: str, source: PackagedSource) -> None:
    """Refuse a root for the data set of a name, and fonts that are missing."""
    source.refuse_root(data, "fonts pip installs")
    needed = {requirement: module for requirement, module, _ in _PACKAGES}
    missing = [
        requirement
        for requirement, module in needed.items()
        if importlib.util.find_spec(module) is None or _version(requirement) != requirement
    ]
    if missing:
        raise DataUnavailableError(
            f"data={data} draws with fonts that are not installed: pip install {' '.join(missing)}; "
            "or use data=digits, which needs none"
        )


def drawn(face: str, characters: str, draw: random.Random) -> Image.Image:
    """Return characters in a face, black on white, 64 x 64 pixels, as RGB; size and place are drawn."""
    size, right, down = draw.choice(_SIZES), draw.randint(-_SHIFT, _SHIFT), draw.randint(-_SHIFT, _SHIFT)
    while (font := _font(face, size)).getlength(characters) > _WIDEST:
        size -= 1
    picture = Image.new("L", (_SIDE, _SIDE), 255)
    place = (_SIDE // 2 + right, _SIDE // 2 + down)
    ImageDraw.Draw(picture).text(place, characters, fill=0, font=font, anchor="mm")
    return picture.convert("RGB")


def stamps_of(faces: Sequence[str]) -> Sequence[str] | None:
    """Return for a picture in each face the stamp of the font's file, and the version of what draws it."""
    stamps = file_stamps(_path(face) for face in FACES)
    if stamps is None:
        return None
    of_face = dict(zip(FACES, stamps, strict=True))
    drawn_by = f"{_DRAWING} {features.version('freetype2')}"
    return [f"{of_face[face]} {drawn_by}" for face in faces]


def _version(requirement: str) -> str:
    name = requirement.partition("==")[0]
    return f"{name}=={metadata.version(name)}"


def _path(face: str) -> Path:
    _, module, file = FACES[face]
    return folder_of(module) / "files" / file


@lru_cache(maxsize=len(FACES) * len(_SIZES))
def _font(face: str, size: int) -> ImageFont.FreeTypeFont:
    # the basic layout is Pillow's own; the other one depends on a library of the system
    return ImageFont.truetype(str(_path(face)), size, layout_engine=ImageFont.Layout.BASIC)
