"""The commands of the simulation: what they share, and what each has done."""
