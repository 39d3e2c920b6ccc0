"""Recordings: their frames and sound by time, and the faces in them."""
