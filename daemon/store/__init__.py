"""What heald remembers: verbs in, rows inside."""
