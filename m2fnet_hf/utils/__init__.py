"""Small helpers that know nothing of emotions."""
