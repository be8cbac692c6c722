"""A small convolutional network, as an example of a network of one's own."""

from torch import Tensor, nn


class TinyNet(nn.Module):
    """Three convolutions, each at half the size of the one before."""

    def __init__(self, num_classes: int, width: int = 32) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, width, 3, 2, 1), nn.BatchNorm2d(width), nn.ReLU())
        self.blocks = nn.Sequential(
            *(
                nn.Sequential(
                    nn.Conv2d(width * i, width * (i + 1), 3, 2, 1), nn.BatchNorm2d(width * (i + 1)), nn.ReLU()
                )
                for i in (1, 2)
            )
        )
        self.head = nn.Linear(3 * width, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, C) of images (B, 3, S, S)."""
        return self.head(self.blocks(self.stem(images)).mean((2, 3)))
