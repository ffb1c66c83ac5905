"""Section 4.4: a black-box attack with BOBYQA."""
