"""The pipeline names what is said in a language that its model does not know."""

import pytest

from m2fnet_hf import MultimodalEmotionPipeline


def test_another_language_is_a_problem_and_no_error() -> None:
    pipe = MultimodalEmotionPipeline.from_pretrained()
    problems: list[str] = []
    german = ["Du bist gekommen! Ich freue mich so.", "Setz dich bitte."]
    several = pipe([german, german, ["You came!", "I am so happy."]], on_problem=problems.append)
    assert [len(answers) for answers in several] == [2, 2, 2]
    assert problems == [
        "What is said is in German, and the model was trained on English: do not trust its labels for that."
    ]
    with pytest.warns(UserWarning, match="in German"):
        pipe(german)
    pipe.model.config.languages = None
    problems.clear()
    pipe(german, on_problem=problems.append)
    assert problems == []
