"""Stage 1: the sound features of every acted clip, as it is and as `VERSIONS - 1` other recordings of the same voice.

    python -m research.m2fnet_mini.acted_features

Writes `acted-V.safetensors` for each version V (0 is the clip as it is): `sound` [clips, 768] in the order of
`common.acted_clips()`. A version that is there is not made again.
"""

import numpy as np
import torch
from safetensors.torch import save_file

from .common import RUNS, VERSIONS, WHISPER, acted_clips
from .sound import SoundTower, augment, read_sound


def main() -> None:
    torch.set_num_threads(1)
    tower = SoundTower.from_whisper(WHISPER)
    clips = acted_clips()
    for version in range(VERSIONS):
        path = RUNS / f"acted-{version}.safetensors"
        if path.is_file():
            continue
        rows = []
        for number, clip in enumerate(clips):
            sound = read_sound(clip.path)
            if version:
                sound = augment(sound, np.random.default_rng([version, number]))
            with torch.inference_mode():
                rows.append(tower(torch.tensor(sound)))
        save_file({"sound": torch.stack(rows)}, path)
        print(path, flush=True)


if __name__ == "__main__":
    main()
