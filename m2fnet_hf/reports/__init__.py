"""Predictions and metrics in forms that people read."""
