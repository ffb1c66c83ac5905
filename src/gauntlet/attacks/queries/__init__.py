"""What black-box attacks ask the network through: counted queries, and random numbers per image."""
