"""The linear region attack beside established ones."""
