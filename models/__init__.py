"""Torch networks and what they compute: tensors in, tensors out."""

import os

# Before torch is loaded: threads that wait for each other sleep instead of spinning. Spinning gains little on a machine
# of one's own, and makes training ten times slower where another process wants the cores.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
