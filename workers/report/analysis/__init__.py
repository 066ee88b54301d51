"""What the values say: curves, comparisons, costs, claims."""
