"""From the operator's file to a linked set-up, or to every error in it."""
