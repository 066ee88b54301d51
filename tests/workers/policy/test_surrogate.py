"""The surrogate game: where it begins, what it measures, and with which classes it is played."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from models.strategies import build_strategy
from service.domain.classes import IGNORE
from service.domain.metrics import confusion_matrix, mean_iou
from tests.workers.games import frozen_splits, tiny_game, tiny_segmenter
from workers.policy import frozen
from workers.policy.frozen import FrozenRegions
from workers.policy.surrogate import SurrogateEpisode, play


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
    assert game.miou(game.head, game.roles(0)[1]) == expected
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


def test_where_images_are_redrawn_an_episode_plays_on_half_of_them_and_is_measured_on_the_others() -> None:
    game, (pool, _, reward) = tiny_game(redraw=True), frozen_splits()
    assert game.pool.labels_RP.tolist() == [*pool.labels_RP.tolist(), *reward.labels_RP.tolist()]
    assert game.pool.image_R.tolist() == [image for image in range(4 + 3) for _ in range(12)]
    seen = set()
    for seed in range(20):
        free_R, (features_XE, labels_X) = game.roles(seed)
        played = game.pool.image_R[free_R].unique().tolist()
        assert len(played) == 3
        assert free_R.sum() == 3 * 12
        others_XE, truth_X = game.pool[~free_R].labelled_points()
        assert torch.equal(features_XE, others_XE[::2])
        assert torch.equal(labels_X, truth_X[::2])
        seen |= set(played)
    assert seen == set(range(7))
    assert torch.equal(game.roles(3)[0], game.roles(3)[0])


def test_an_episode_asks_only_for_regions_of_the_images_it_plays_on() -> None:
    episode = SurrogateEpisode(tiny_game(redraw=True), budget=99, seed=4)
    free_R, points = episode.game.roles(4)
    assert episode.miou == episode.game.miou(episode.head, points)
    while not episode.over:
        episode.tell(torch.from_numpy(np.concatenate(episode.draw())))
    assert sorted(episode.labelled.tolist()) == free_R.nonzero()[:, 0].tolist()
    assert episode.miou == episode.measured(episode.head) == episode.game.miou(episode.head, points)


def test_many_features_are_projected_and_f_s_head_with_them(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = tiny_game()
    features = whole.pool.features_RPE.shape[2]
    monkeypatch.setattr(frozen, "COMPONENTS", features - 16)
    game = tiny_game()
    assert game.pool.features_RPE.shape[2] == game.head.weight_CE.shape[1] == features - 16
    kept = game.pool.features_RPE.square().sum() / whole.pool.features_RPE.square().sum()
    assert 0.95 < kept < 1
    logits, before = (each.head.logits(each.pool.features_RPE) for each in (game, whole))
    assert (logits.argmax(2) == before.argmax(2)).double().mean() > 0.8
