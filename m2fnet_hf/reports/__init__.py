"""Predictions and figures in forms that people read."""
