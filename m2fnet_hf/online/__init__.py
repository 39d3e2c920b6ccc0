"""Emotions while people speak."""
