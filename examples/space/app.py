"""The app as a Hugging Face Space: copy this folder into one; the variable M2FNET_MODEL names the model."""

from m2fnet_hf.cli import main

raise SystemExit(main(["app"]))
