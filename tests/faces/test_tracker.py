import numpy as np
import pytest

from m2fnet_hf.faces.tracker import FaceTracker
from m2fnet_hf.faces.types import Faces

ANNA, BEN = np.array([1.0, 0.0, 0.1]), np.array([0.0, 1.0, 0.1])


def _faces(
    *lefts: float, size: float = 100, identities: list[np.ndarray] | None = None, frame: tuple = (1, 1)
) -> Faces:
    boxes = np.array([[left, 50, left + size, 50 + size] for left in lefts]).reshape(-1, 4) / np.tile(frame, 2)
    return Faces(boxes, np.ones(len(lefts)), identities=None if identities is None else np.array(identities))


def _follow(tracker: FaceTracker, *frames: tuple[float, Faces]) -> list[list[int]]:
    return [tracker.update(time, faces).tolist() for time, faces in frames]


def test_each_face_keeps_its_number_in_whatever_order_it_comes() -> None:
    numbers = _follow(FaceTracker(), (0, _faces(0, 300)), (0.5, _faces(310, 10)), (1, _faces(20, 320, 600)))
    assert numbers == [[0, 1], [1, 0], [0, 1, 2]]


@pytest.mark.parametrize(
    ("left", "size", "expected"),
    [(40, 100, 0), (60, 100, 0), (90, 100, 0), (110, 100, 1), (0, 180, 0), (90, 220, 1)],
    ids=["overlap", "little overlap", "next to", "away", "grown", "another size"],
)
@pytest.mark.parametrize("frame", [(1, 1), (1280, 360)], ids=["pixels", "shares"])
def test_a_face_may_move_by_less_than_its_size(left: float, size: float, expected: int, frame: tuple) -> None:
    frames = (0, _faces(0, frame=frame)), (1, _faces(left, size=size, frame=frame))
    assert _follow(FaceTracker(), *frames)[1] == [expected]


def test_the_better_overlap_wins() -> None:
    assert _follow(FaceTracker(), (0, _faces(0)), (1, _faces(50, 5)))[1] == [1, 0]


def test_a_track_is_closed_after_the_longest_gap() -> None:
    frames = (0, _faces(0)), (1, _faces()), (2, _faces(0)), (4.5, _faces(0))
    assert _follow(FaceTracker(longest_gap=2), *frames) == [[0], [], [0], [1]]


def test_a_closed_track_without_identity_costs_nothing() -> None:
    tracker = FaceTracker(longest_gap=1)
    _follow(tracker, *((10.0 * step, _faces(0, 300)) for step in range(50)))
    assert len(tracker._tracks) == 2


def test_two_people_who_swap_places_stay_themselves() -> None:
    frames = (0, _faces(0, 300, identities=[ANNA, BEN])), (1, _faces(0, 300, identities=[BEN, ANNA]))
    assert _follow(FaceTracker(), *frames) == [[0, 1], [1, 0]]


def test_a_person_who_comes_back_after_a_cut_is_known_again() -> None:
    frames = (
        (0, _faces(0, identities=[ANNA])),
        (1, _faces(0, identities=[BEN])),
        (60, _faces(700, 0, identities=[2 * ANNA, BEN])),
    )
    assert _follow(FaceTracker(), *frames) == [[0], [1], [0, 1]]


@pytest.mark.parametrize(("cosine", "expected"), [(0.9, [[0], [0]]), (0.6, [[0], [1]]), (0.3, [[1], [1]])])
def test_likeness_decides_over_place(cosine: float, expected: list[list[int]]) -> None:
    other = np.array([cosine, np.sqrt(1 - cosine**2), 0])
    first = np.array([1.0, 0, 0])
    for left, number in zip((10, 500), expected, strict=True):
        frames = (0, _faces(0, identities=[first])), (1, _faces(left, identities=[other]))
        assert _follow(FaceTracker(), *frames)[1] == number


def test_faces_without_identity_are_linked_by_place() -> None:
    unknown = np.full(3, np.nan)
    frames = (0, _faces(0, 300, identities=[ANNA, unknown])), (1, _faces(300, 0, identities=[BEN, unknown]))
    assert _follow(FaceTracker(), *frames) == [[0, 1], [1, 0]]
