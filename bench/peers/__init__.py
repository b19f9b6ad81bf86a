"""What it costs to look: heald and its peers on the same targets, at the same interval, in the same run."""
