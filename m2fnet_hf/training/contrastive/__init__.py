"""The extractor stage: an encoder trained on single utterances by a contrastive loss."""
