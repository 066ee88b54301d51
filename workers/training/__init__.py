"""Training a segmenter on image sources, and what is kept of it."""
