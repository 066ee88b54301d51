"""How networks are put into evaluation mode and work is spread: what is left behind, and what must not be."""

import threading
from collections.abc import Iterator

import pytest
import torch
from torch import nn

from models.inference import evaluating, on_one_thread, spread

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_evaluating_restores_every_module_s_own_mode() -> None:
    network = nn.Sequential(nn.Dropout(), nn.BatchNorm1d(2), nn.Linear(2, 2)).train()
    network[1].eval()
    with evaluating(network):
        assert not any(module.training for module in network.modules())
        assert not torch.is_grad_enabled()
    assert [module.training for module in network.modules()] == [True, True, False, True]
    assert torch.is_grad_enabled()


def test_evaluating_restores_modes_after_an_error() -> None:
    network = nn.Dropout().train()
    with pytest.raises(RuntimeError, match="gone wrong"), evaluating(network):
        raise RuntimeError("gone wrong")
    assert network.training


@pytest.mark.parametrize("count", [0, 1, 2, 7])
def test_results_come_in_the_order_of_the_items(count: int) -> None:
    assert spread(lambda item: item * item, range(count), CPU) == [item * item for item in range(count)]


def test_several_pieces_are_done_by_as_many_threads_as_torch_has() -> None:
    together = threading.Barrier(2, timeout=10)  # broken, and an error, unless two threads come to it
    spread(lambda _: together.wait(), range(2), CPU)


@pytest.mark.parametrize("count", [1, 5])
def test_each_piece_is_worked_on_by_one_thread_without_gradients(count: int) -> None:
    seen = spread(lambda _: (torch.get_num_threads(), torch.is_grad_enabled()), range(count), CPU)
    assert seen == [(1, False)] * count


@pytest.mark.parametrize("count", [1, 5])
def test_the_number_of_threads_is_as_before_here_and_in_threads_to_come(count: int) -> None:
    spread(lambda _: None, range(count), CPU)
    later: list[int] = []
    thread = threading.Thread(target=lambda: later.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert (torch.get_num_threads(), later) == (2, [2])


def test_on_one_thread_ends_with_the_number_it_began_with() -> None:
    with on_one_thread():
        assert torch.get_num_threads() == 1
    with pytest.raises(RuntimeError, match="gone wrong"), on_one_thread():
        raise RuntimeError("gone wrong")
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize("count", [1, 5])
def test_an_error_in_a_piece_reaches_the_caller(count: int) -> None:
    def fail(item: int) -> None:
        raise ValueError(f"piece {item}")

    with pytest.raises(ValueError, match="piece"):
        spread(fail, range(count), CPU)
    assert torch.get_num_threads() == 2
