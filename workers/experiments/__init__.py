"""What is measured: experiments, their stages and their methods."""
