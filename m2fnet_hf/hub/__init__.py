"""Publish models on the Hugging Face Hub, with code, results and card."""
