import pytest
import torch

from m2fnet_hf.losses import emotion_loss

LOGITS = torch.tensor([[[2.0, 0.0, 0.0], [0.0, 1.0, 0.0]], [[0.0, 0.0, 3.0], [9.0, 9.0, 9.0]]])
LABELS = torch.tensor([[0, 2], [2, -100]])


def test_cross_entropy_is_the_mean_over_labelled_utterances() -> None:
    expected = -LOGITS.log_softmax(-1)[[0, 0, 1], [0, 1, 0], [0, 2, 2]].mean()
    torch.testing.assert_close(emotion_loss(LOGITS, LABELS), expected)


def test_class_weights_are_rescaled_and_not_the_denominator() -> None:
    terms = -LOGITS.log_softmax(-1)[[0, 0, 1], [0, 1, 0], [0, 2, 2]]
    expected = (terms * torch.tensor([0.5, 1.5, 1.5])).sum() / 3
    torch.testing.assert_close(emotion_loss(LOGITS, LABELS, class_weights=[1, 2, 3]), expected)
    torch.testing.assert_close(emotion_loss(LOGITS, LABELS, class_weights=[10, 20, 30]), expected)


def test_focal_loss_turns_to_what_is_wrong() -> None:
    terms = -LOGITS.log_softmax(-1)[[0, 0, 1], [0, 1, 0], [0, 2, 2]]
    expected = ((1 - (-terms).exp()) ** 2 * terms).sum() / 3
    torch.testing.assert_close(emotion_loss(LOGITS, LABELS, focal_gamma=2.0), expected)


@pytest.mark.parametrize("options", [{}, {"class_weights": [1, 2, 3]}, {"focal_gamma": 2.0}, {"label_smoothing": 0.1}])
def test_micro_batches_add_up_to_the_big_batch(options: dict) -> None:
    whole = emotion_loss(LOGITS, LABELS, **options)
    parts = sum(emotion_loss(LOGITS[i : i + 1], LABELS[i : i + 1], num_items_in_batch=3, **options) for i in (0, 1))
    torch.testing.assert_close(whole, parts)


def test_no_label_is_no_loss() -> None:
    logits = LOGITS.clone().requires_grad_()
    loss = emotion_loss(logits, torch.full((2, 2), -100), class_weights=[1, 2, 3], focal_gamma=1.0)
    loss.backward()
    assert loss == 0
    assert not logits.grad.any()
