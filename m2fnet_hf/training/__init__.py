"""Training on Trainer and accelerate; needs `pip install 'm2fnet-hf[train]'`."""
