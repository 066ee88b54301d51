"""`python -m service` is the command `regionwise`."""

from service.cli import main

main()
