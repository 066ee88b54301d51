"""A trained segmenter as files that leave the service, and the label maps that it predicts of files."""
