"""Metrics of predictions and labels."""

from pathlib import Path

METRIC = str(Path(__file__).with_name("emotion_metric.py"))  # for `evaluate.load(METRIC)`
