"""Virtual time and what tests of rules need."""
