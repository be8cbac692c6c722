"""Do biases of networks explain how they generalize? The study of arXiv 2404.01509, and the same of own networks."""
