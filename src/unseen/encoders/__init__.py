"""Vision-language encoders: two towers whose embeddings of images and texts are compared by their cosine."""
