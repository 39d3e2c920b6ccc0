"""Figures from predictions and labels."""
