"""Chapter 2: Frank-Wolfe attacks, white-box and black-box."""
