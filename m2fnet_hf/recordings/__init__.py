"""A recording and its transcript to a dialogue with its sound and faces."""
