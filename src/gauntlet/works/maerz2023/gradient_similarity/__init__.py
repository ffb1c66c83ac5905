"""Section 4.3: how alike the gradients in the parameters are at versions of one image."""
