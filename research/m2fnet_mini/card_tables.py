"""The tables of the checkpoint's card and of the documentation, out of `results.json` alone.

A table stands between `<!-- NAME -->` and `<!-- end -->`.
"""

import re
from statistics import stdev
from typing import Any

RECORDINGS = "2 RAVDESS, actors apart, 7 classes"
UNCHOSEN = "2 the same without fold 3"
PAIRS = "4 pairs, MELD test, weighted F1"
ALOUD = "5 read by espeak-ng, MELD test, weighted F1"
ALOUD_FOLDS = "5 read by espeak-ng, mean of folds"
VOICES, VOICES_UNCHOSEN = "5 voices followed", "5 voices without fold 3"
TEXT = "1 text alone, MELD test"
GIVEN = {
    "sound": "sound",
    "faces": "Action Units",
    "sound_faces": "sound and Action Units",
    "all": "all, with own words",
}
PARTS = {
    "full": "with everything",
    "no-normalisation": "no normalisation by speaker",
    "no-encoder": "no dialogue encoder",
    "no-noise": "no noise in pairs",
    "no-blending": "clips not mixed with others of the same voice and emotion",
    "no-augmentation": "clips as recorded, no augmentation",
}


def tables(results: dict[str, Any]) -> dict[str, str]:
    """Each table in Markdown, by its name."""
    made = (short, lines, text, recordings, pairs, strangers, classes, calibration, ablation, beside)
    return {one.__name__: one(results) for one in made}


def fill(page: str, made: dict[str, str]) -> str:
    """A page with its tables replaced."""
    for name, table in made.items():
        page = re.sub(rf"(<!-- {name} -->\n).*?(<!-- end -->)", rf"\g<1>{table}\n\g<2>", page, flags=re.S)
    return page


def short(results: dict[str, Any]) -> str:
    found = results["summary"]
    return grid(
        ["what it is given", "measured on", "", "reached"],
        [
            ["text alone", "MELD, test split", "weighted F1", percent(results["weighted_f1"])],
            *(
                [given, "RAVDESS, actors it does not know", "accuracy, 7 classes", seeds(found[RECORDINGS][name])]
                for name, given in (("sound_together", "sound alone"), ("faces_together", "Action Units alone"))
            ),
            ["all three", "the same", "the same", seeds(found[RECORDINGS]["all_together"])],
            ["sound alone", "a corpus that it does not know", "weighted F1", f"{stranger(found, 'weighted_f1'):.2f}"],
            ["text alone", "pairs: MELD's words, strange actors' voices", "weighted F1", seeds(found[PAIRS]["text"])],
            ["all three", "the same", "the same", seeds(found[PAIRS]["all"])],
        ],
    )


def lines(results: dict[str, Any]) -> str:
    """What was aimed at, and what was reached."""
    found = results["summary"]
    recorded, voices = found[RECORDINGS], found[VOICES]
    gains = [one["mean"] for one in found["4 gain of all three"].values()]
    macro = stranger(found, "macro_f1")
    rows: list[tuple[str, float, float]] = [
        ("text alone, MELD test, weighted F1", 63.4, 100 * results["weighted_f1"]),
        ("the same, macro F1", 44.5, 100 * results["macro_f1"]),
        ("RAVDESS, actors apart, 7 classes: sound", 80.0, recorded["sound_together"]["mean"]),
        ("the same: Action Units (OpenFace)", 62.0, recorded["faces_together"]["mean"]),
        ("the same: Action Units (py-feat, 360 clips)", 62.0, recorded["pyfeat_together"]["mean"]),
        ("the same: all", 86.0, recorded["all_together"]["mean"]),
        ("strangers, sound alone, weighted F1, both directions", 58.0, stranger(found, "weighted_f1")),
        ("the same, EmoDB to RAVDESS only", 58.0, direction(found, "EmoDB to RAVDESS", "weighted_f1")["mean"]),
        ("macro F1 above the plain tower¹", 15.0, macro - linear(results, "as_recorded")),
        ("the same, the plain tower trained on augmented clips", 15.0, macro - linear(results, "all_versions")),
        ("the same, this model without normalisation", 15.0, macro - stranger(found, "macro_f1", "not ")),
        ("pairs: all three above text, worst seed", 4.0, min(gains)),
        ("voices: label of one clip, text and sound", 75.0, voices["text+sound"]["mean"]),
        ("the same without fold 3", 75.0, found[VOICES_UNCHOSEN]["text+sound"]["mean"]),
        ("the same, the other sentence", 75.0, voices["text+sound, other sentence"]["mean"]),
        ("voices: both of an angry and a happy clip, text and sound", 75.0, voices["text+sound_pairs"]["mean"]),
        ("voices: both, with Action Units", 75.0, voices["text+sound+faces_pairs"]["mean"]),
    ]
    most = [
        ("text alone, expected calibration error", 5.0, 100 * results["calibration"]["ece"]),
        ("read by espeak-ng, worst seed: loss against text alone", 1.0, max(losses(found, TEXT, ALOUD))),
        ("the same, held-out folds", 1.0, max(losses(found, f"{TEXT}, mean of folds", ALOUD_FOLDS))),
    ]
    return grid(
        ["", "wanted", "reached", "holds"],
        [
            *([name, f"≥ {goal:.1f}", f"{value:.2f}", holds(value >= goal)] for name, goal, value in rows),
            *([name, f"≤ {goal:.1f}", f"{value:.2f}", holds(value <= goal)] for name, goal, value in most),
        ],
    )


def text(results: dict[str, Any]) -> str:
    found, aloud = results["summary"][TEXT], results["summary"][ALOUD]
    names = ("weighted_f1", "accuracy", "macro_f1")
    return grid(
        ["MELD test", "weighted F1", "accuracy", "macro F1"],
        [
            ["this checkpoint, text alone", *(percent(results[name]) for name in names)],
            ["three seeds, text alone", *(seeds(found[name]) for name in names)],
            ["three seeds, read by espeak-ng in the speakers' own voices", seeds(aloud["test"]), "", ""],
            ["three seeds, read by espeak-ng in its one voice", seeds(aloud["test-default"]), "", ""],
        ],
    )


def recordings(results: dict[str, Any]) -> str:
    found, unchosen = results["summary"][RECORDINGS], results["summary"][UNCHOSEN]
    rows = [
        [
            given,
            *(
                seeds(part)
                for part in (found[f"{name}_together"], unchosen[f"{name}_together"], found[f"{name}_alone"])
            ),
        ]
        for name, given in GIVEN.items()
    ]
    rows.append(["Action Units of py-feat (360 clips)", seeds(found["pyfeat_together"]), "", ""])
    for given, said in (("text+sound", "sound"), ("text+sound+faces", "all")):
        together, alone = (share_right(results["real_recordings"], f"{given}, {how}") for how in ("together", "alone"))
        rows.append([f"{said}, with own words: files through the pipeline, seed 0", together, "", alone])
    return grid(["RAVDESS, accuracy", "60 clips of an actor together", "without fold 3", "each clip by itself"], rows)


def share_right(actors: dict[str, dict[str, int]], given: str) -> str:
    """Of all actors' files."""
    return percent(sum(one[given] for one in actors.values()) / sum(one["clips"] for one in actors.values()))


def pairs(results: dict[str, Any]) -> str:
    found = results["summary"][PAIRS]
    names = {
        "text": "text",
        "text_sound": "text and sound",
        "all": "text, sound and Action Units",
        "sound_faces": "sound and Action Units",
        "all_without_confusion": "all, every clip with the very emotion of the words (not a fair measure)",
    }
    return grid(["pairs, MELD test", "weighted F1"], [[given, seeds(found[name])] for name, given in names.items()])


def strangers(results: dict[str, Any]) -> str:
    found = results["summary"]
    rows = []
    for kind, said in (("", "normalised by speaker"), ("not ", "not normalised")):
        for way in ("RAVDESS to EmoDB", "EmoDB to RAVDESS"):
            metrics = (direction(found, way, name, kind) for name in ("weighted_f1", "accuracy", "macro_f1"))
            rows.append([f"{way}, {said}", *map(seeds, metrics)])
        rows.append(
            [f"mean, {said}", *(f"{stranger(found, m, kind):.2f}" for m in ("weighted_f1", "accuracy", "macro_f1"))]
        )
    for name, said in (("as_recorded", "clips as recorded"), ("all_versions", "augmented clips")):
        values = results["linear_classifier"]["strangers"][name]
        cells = (percent(values[metric]) for metric in ("weighted_f1", "accuracy", "macro_f1"))
        rows.append([f"mean, plain tower without normalisation, {said}", *cells])
    return grid(["strangers, sound alone", "weighted F1", "accuracy", "macro F1"], rows)


def classes(results: dict[str, Any]) -> str:
    names = list(results["per_class"])
    found = results["by_class"]
    rows = [["text alone, MELD test", *(percent(results["per_class"][name]["f1"]) for name in names)]]
    said = {
        "recordings, sound": "sound alone, RAVDESS",
        "recordings, faces": "Action Units alone, RAVDESS",
        "recordings, all": "all, RAVDESS",
        "pairs, text": "text alone, pairs",
        "pairs, all": "all, pairs",
        "strangers, ravdess": "sound alone, RAVDESS to EmoDB",
        "strangers, emodb": "sound alone, EmoDB to RAVDESS",
    }
    for key, given in said.items():
        rows.append([given, *("-" if found[key][name] is None else percent(found[key][name]) for name in names)])
    return grid(["F1", *names], rows)


def calibration(results: dict[str, Any]) -> str:
    found = results["calibration_by_modalities"]
    said = {
        "recordings, sound": "sound alone, RAVDESS, actors apart",
        "recordings, faces": "Action Units alone, the same",
        "recordings, sound_faces": "sound and Action Units, the same",
        "recordings, all": "all with own words, the same",
        "pairs, text_sound": "text and sound, pairs",
        "pairs, sound_faces": "sound and Action Units, pairs",
        "pairs, all": "all, pairs",
        "strangers, sound, ravdess": "sound alone, RAVDESS to EmoDB (no temperature)",
        "strangers, sound, emodb": "sound alone, EmoDB to RAVDESS (no temperature)",
    }
    rows = [["text alone, MELD test, this checkpoint", percent(results["calibration"]["ece"])]]
    rows += [[given, share(found[key])] for key, given in said.items()]
    return grid(["", "expected calibration error, %"], rows)


def ablation(results: dict[str, Any]) -> str:
    columns = {
        "text": "text alone, MELD",
        "sound": "sound, RAVDESS",
        "faces": "Action Units, RAVDESS",
        "recordings": "all, RAVDESS",
        "pairs": "all, pairs",
        "strangers_weighted_f1": "strangers, weighted F1",
        "strangers_macro_f1": "strangers, macro F1",
    }
    found = results["ablation"]
    rows = [
        [said, *(percent(found[name][column]) if column in found[name] else "-" for column in columns)]
        for name, said in PARTS.items()
    ]
    return grid(["seed 0", *columns.values()], rows)


def beside(results: dict[str, Any]) -> str:
    eight, speed = results["linear_classifier"]["eight_classes"], results["speed"]
    sound_weights = results["export"]["bytes_by_part"]["audio_encoder"] / 2
    ours, large = (speed[name] for name in ("sound_alone_seconds_per_second", "wav2vec2_large_seconds_per_second"))
    published = {one["name"]: one.get("ravdess_8_accuracy") for one in results["published"]}
    rows = [
        ["this sound tower, a linear classifier", share(eight["sound"]), millions(sound_weights), f"{ours:.4f}"],
        ["the same and Action Units", share(eight["sound_faces"]), "", ""],
    ]
    for name, accuracy in published.items():
        if accuracy is not None:
            size = millions(speed["wav2vec2_large_weights"]) if "XLSR" in name else ""
            rows.append([name, f"{100 * accuracy:.1f}", size, f"{large:.4f}" if size else ""])
    head = [
        "RAVDESS, 8 classes, actors apart",
        "accuracy",
        "weights of the sound encoder",
        "core seconds per second of speech",
    ]
    return grid(head, rows)


def stranger(found: dict[str, Any], metric: str, kind: str = "") -> float:
    return found["3 strangers, sound alone"][f"{kind}normalised, {metric}"]["mean"]


def direction(found: dict[str, Any], way: str, metric: str, kind: str = "") -> dict[str, Any]:
    return found["3 strangers, sound alone"][f"{kind}normalised, {metric}"][way]


def linear(results: dict[str, Any], name: str) -> float:
    return 100 * results["linear_classifier"]["strangers"][name]["macro_f1"]


def losses(found: dict[str, Any], silent: str, aloud: str) -> list[float]:
    """By seed and kind of voice: what synthetic speech takes away."""
    alone = found[silent]["weighted_f1"]["seeds"]
    return [alone[seed] - value for kind in found[aloud].values() for seed, value in kind["seeds"].items()]


def holds(does: bool) -> str:
    return "yes" if does else "**no**"


def percent(value: float) -> str:
    return f"{100 * value:.2f}"


def millions(count: float) -> str:
    return f"{count / 1e6:.1f} million"


def seeds(part: dict[str, Any]) -> str:
    """Mean and standard deviation of per cents over seeds."""
    values = list(part["seeds"].values())
    return f"{part['mean']:.2f} ± {stdev(values):.2f}" if len(values) > 1 else f"{part['mean']:.2f}"


def share(part: dict[str, Any]) -> str:
    """The same of shares."""
    values = [100 * value for value in part["seeds"]]
    return f"{100 * part['mean']:.2f} ± {stdev(values):.2f}" if len(values) > 1 else f"{100 * part['mean']:.2f}"


def grid(head: list[str], rows: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))
