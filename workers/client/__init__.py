"""What talks to the service over HTTP: imports, campaigns; and the demo project."""
