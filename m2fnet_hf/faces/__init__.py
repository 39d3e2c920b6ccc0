"""Faces of frames: what is known of them, what finds them, and who is who."""
