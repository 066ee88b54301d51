"""The live work: jobs of the service's rows."""
