"""`python -m m2fnet_hf`, which launchers of several processes start."""

from .cli import main

if __name__ == "__main__":
    raise SystemExit(main())
