"""chen2021: evaluating and understanding adversarial robustness."""
