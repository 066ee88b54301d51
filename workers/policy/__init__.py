"""The games that train a policy, and its trainer."""
