"""The one path by which regions are chosen and learned from, live and in simulation."""
