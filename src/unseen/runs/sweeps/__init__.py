"""Many runs: the jobs of a sweep, their processes and what they leave."""
