"""What runs wrote, as values."""
