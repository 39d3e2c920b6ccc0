"""What a card can say of a model, each from its config or the settings of its run; what is unknown is left out."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from ..configuration_m2fnet import M2FNetConfig

MODALITY_NAMES = {"text": "text", "audio": "sound", "visual": "faces"}
POOLINGS = {"learned": "by learned weights", "area": "by their area", "concat": "side by side"}
TRAINING = {
    "num_train_epochs": "epochs",
    "per_device_train_batch_size": "dialogues per step and device",
    "learning_rate": "learning rate",
    "encoder_learning_rate": "learning rate of the encoders",
    "weight_decay": "weight decay",
    "lr_scheduler_type": "schedule",
    "seed": "seed",
}
TURNS = (("Maya", "Wait, why is it already open?!"), ("Tom", "Please don't be mad. I thought it was mine."))


class DataSet(NamedTuple):
    """A data set: its name, its name on the Hub, its language, and what a reader must know of it."""

    name: str
    hub_name: str | None
    language: str | None
    note: str


KNOWN_DATA = {
    "MELD": DataSet(
        "MELD",
        "declare-lab/MELD",
        "en",
        "[MELD](https://github.com/declare-lab/MELD) (Poria et al., 2019): dialogues of one American television "
        "comedy, acted and scripted, in English. Its annotations are under GPL-3.0 and not part of this repository.",
    ),
    "IEMOCAP": DataSet(
        "IEMOCAP",
        None,
        "en",
        "IEMOCAP (Busso et al., 2008): acted dialogues of ten speakers in English, under a licence of the University "
        "of Southern California; no part of it is in this repository.",
    ),
}


def data_of(settings: Mapping[str, Any], results: Mapping[str, Any]) -> DataSet | None:
    """The data set that the run or its results name; `None` for a folder without a name."""
    name = settings.get("dataset") or results.get("dataset")
    if name is None:
        return None
    return KNOWN_DATA.get(name) or DataSet(name, name if "/" in name else None, None, f"Data: {name}.")


def describe_model(config: M2FNetConfig, processor: Mapping[str, Any]) -> list[str]:
    """Encoders, context, dialogue encoders and fusion."""
    facts = [_encoder(config, modality) for modality in config.modalities]
    if processor and "text" in config.modalities:
        facts.append(_context(processor))
    encoders = f"{config.num_hidden_layers} transformer encoders per modality, {config.num_attention_heads} heads"
    facts.append(
        f"Dialogue: {encoders if config.num_hidden_layers else 'no encoders of its own'}, {config.hidden_size} wide"
        + ("; an utterance sees its past only" if config.causal else "")
        + (f"; it sees {config.attention_window} neighbours on each side" if config.attention_window else "")
    )
    if len(config.modalities) > 1:
        modules = f" in {config.num_fusion_layers} modules" if config.fusion == "attention" else ""
        facts.append(f"Fusion: {config.fusion}{modules}")
    return [f"{fact}." for fact in facts]


def _encoder(config: M2FNetConfig, modality: str) -> str:
    name, encoder = MODALITY_NAMES[modality].capitalize(), getattr(config, f"{modality}_config")
    if encoder is None:
        return f"{name}: features of {config.feature_sizes[modality]} values, made beforehand"
    if modality == "visual":
        units = f"{encoder.num_action_units} Action Units"
        appearance = f"{encoder.num_appearance_features} appearance features"
        read = {"action_units": units, "appearance": appearance}.get(encoder.visual_features, f"{units}, {appearance}")
        return f"{name}: {read}, found with `{encoder.face_backend}`, pooled {POOLINGS[encoder.face_pooling]}"
    frozen = "frozen" if getattr(config, f"freeze_{modality}_encoder") else "fine-tuned"
    fact = f"{name}: {encoder.model_type} encoder, {encoder.num_hidden_layers} layers, {frozen}"
    if modality == "audio":
        fact += "" if config.audio_final_norm else ", read before its final layer norm"
        fact += ", pooled to mean and standard deviation" if config.audio_pooling == "mean_std" else ""
    return fact


def _context(processor: Mapping[str, Any]) -> str:
    past, future = (_limit(processor.get(f"{side}_utterances")) for side in ("past", "future"))
    context = {
        "none": "each utterance for itself",
        "past": f"each utterance behind {past} before it",
        "both": f"each utterance between {past} before it and {future} after it",
        "dialogue": f"the whole dialogue, in rows of up to {processor['max_length']} tokens",
    }[processor["context"]]
    prefix = {"name": ", with the speakers' names", "index": ", with the speakers' numbers"}
    return f"Context: {context}{prefix.get(processor['speaker_prefix'], '')}"


def _limit(count: int | None) -> str:
    return "as many as fit" if count is None else f"up to {count}"


def describe_training(settings: Mapping[str, Any]) -> list[str]:
    """The settings of the training that change what comes out."""
    training = settings.get("training", {})
    return [f"{words}: {training[name]}" for name, words in TRAINING.items() if training.get(name) is not None]


def probability_note(config: M2FNetConfig) -> str:
    """Whether the probabilities can be read as frequencies."""
    if config.softmax_temperature != 1:
        return f"Probabilities were calibrated on development data (temperature {config.softmax_temperature:.3f})."
    return "Probabilities are those of a softmax and not calibrated: do not read them as frequencies."


def example(config: M2FNetConfig) -> tuple[list[str], list[str]]:
    """Python lines that make arrays for each modality but raw text, and those of utterances with them."""
    arrays, fields = [], []
    for modality in config.modalities:
        visual = config.visual_config if modality == "visual" else None
        if getattr(config, f"{modality}_config") is None:
            name = f"{modality}_features"
            arrays.append(f"{name} = np.random.randn({config.feature_sizes[modality]})  # what an encoder made of it")
            fields.append(f'"{name}": {name}')
        elif modality == "audio":
            arrays.append("sound = np.random.randn(16_000)  # put a second of speech here, mono at 16 kHz")
            fields.append('"audio": sound, "sampling_rate": 16_000')
        elif visual is not None:
            sizes = {"action_units": visual.num_action_units, "appearance": visual.num_appearance_features}
            for name in sizes if visual.visual_features == "both" else [visual.visual_features]:
                arrays.append(f"{name} = np.random.rand(4, 1, {sizes[name]})  # frames, faces, values of a face")
                fields.append(f'"{name}": {name}')
    given = "".join(f", {field}" for field in fields)
    return arrays, [f'{{"speaker": "{speaker}", "text": "{text}"{given}}}' for speaker, text in TURNS]
