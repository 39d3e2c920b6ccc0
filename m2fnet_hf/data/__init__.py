"""Dialogues: the contract, and the readers that make them."""
