"""Commands of `regionwise` by subject, and what they share; service/cli.py puts them together."""
