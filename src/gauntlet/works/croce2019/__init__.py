"""croce2019: the linear region attack, and how much other attacks overestimate robustness."""
