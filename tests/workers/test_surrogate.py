"""The surrogate game: where it begins, what it measures, and with which classes it is played."""

import numpy as np
import torch
from torch.nn import functional as F

from models.strategies import build_strategy
from service.domain.classes import IGNORE
from service.domain.metrics import confusion_matrix, mean_iou
from tests.workers.games import frozen_splits, tiny_game, tiny_segmenter
from workers.frozen import FrozenRegions
from workers.surrogate import play


def predicted_by_f(regions: FrozenRegions) -> tuple[np.ndarray, np.ndarray]:
    """True class and the segmenter's own class at each point, by its classifier as it is."""
    classifier = tiny_segmenter().classifier
    decoded_XE = regions.features_RPE.flatten(0, 1)[:, : classifier.in_channels]
    with torch.no_grad():
        logits_XC = F.linear(decoded_XE, classifier.weight.flatten(1), classifier.bias)
    return regions.labels_RP.flatten().numpy().astype(np.uint8), logits_XC.argmax(1).numpy().astype(np.uint8)


def test_the_game_begins_with_f_s_own_head_and_measures_as_the_metrics_do() -> None:
    game, (_, state, reward) = tiny_game(), frozen_splits()
    truth_X, predicted_X = predicted_by_f(reward)
    every_second = np.flatnonzero(truth_X != IGNORE)[::2]
    expected = mean_iou(confusion_matrix(truth_X[every_second], predicted_X[every_second], 3))
    assert game.miou(game.head) == expected
    np.testing.assert_array_equal(game.state_confusion(game.head).numpy(), confusion_matrix(*predicted_by_f(state), 3))
    assert abs(game.pool.features_RPE.mean()) < 1e-4


def test_classes_that_are_left_out_are_unlabelled_and_the_others_numbered_anew() -> None:
    game, whole, (pool, _, _) = tiny_game(classes=[2, 0]), tiny_game(), frozen_splits()
    assert game.classes == 2
    anew = {0: 1, 1: IGNORE, 2: 0, IGNORE: IGNORE}
    assert game.pool.labels_RP.flatten().tolist() == [anew[label] for label in pool.labels_RP.flatten().tolist()]
    assert torch.equal(game.counts_RC, whole.counts_RC[:, [2, 0]])
    logits = game.head.logits(game.pool.features_RPE)
    torch.testing.assert_close(logits, whole.head.logits(whole.pool.features_RPE)[..., [2, 0]])
    assert 0 < play(game, build_strategy("random"), budget=4, seed=0)[-1] <= 1
