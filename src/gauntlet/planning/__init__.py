"""What a run will need before it starts: what is missing, what that blocks, and what the rest costs."""
