"""Drawn shapes of random size and place, as an example of a data set of one's own."""

import math

import numpy as np
from PIL import Image, ImageDraw
from torch.utils.data import Dataset


class Shapes(Dataset):
    """Grey pictures of regular polygons with three to eight corners; item i is (PIL image, class number)."""

    classes = ("triangle", "square", "pentagon", "hexagon", "heptagon", "octagon")

    def __init__(self, per_class: int = 60, side: int = 32, seed: int = 0) -> None:
        self.targets = [number for number in range(len(self.classes)) for _ in range(per_class)]
        self.side = side
        self.seed = seed

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int) -> tuple[Image.Image, int]:
        """The same picture each time: randomness comes from the seed and the index."""
        rng = np.random.default_rng((self.seed, index))
        corners, radius = self.targets[index] + 3, rng.uniform(0.25, 0.45) * self.side
        x, y = rng.uniform(radius, self.side - radius, 2)
        turn = rng.uniform(0, 2 * math.pi)
        angles = [turn + 2 * math.pi * corner / corners for corner in range(corners)]
        image = Image.new("L", (self.side, self.side), 255)
        ImageDraw.Draw(image).polygon(
            [(x + radius * math.cos(angle), y + radius * math.sin(angle)) for angle in angles], fill=0
        )
        return image, self.targets[index]
