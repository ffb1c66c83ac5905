"""Chapter 4: robust learning with an adversary critic."""
