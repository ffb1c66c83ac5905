"""Black-box attacks that see the predicted class only."""
