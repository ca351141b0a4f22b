"""The connections of each worker, as the others see them."""

import os

from toolkit.serving.board import Board


def test_a_worker_is_crowded_where_another_has_fewer_connections():
    board = Board(4)
    first, second = board.take(), board.take()
    assert not board.is_crowded(first)
    board.write(first, 1)
    assert board.is_crowded(first)
    assert not board.is_crowded(second)


def test_a_worker_that_has_ended_counts_no_more_and_its_slot_is_used_again():
    board = Board(2)
    first, second = board.take(), board.take()
    board.write(first, 5)
    board.give_back(second)
    assert not board.is_crowded(first)
    assert board.take() == second


def test_what_one_process_writes_all_read():
    board = Board(2)
    first, second = board.take(), board.take()
    child = os.fork()
    if not child:
        board.write(second, 7)
        os._exit(0)
    os.waitpid(child, 0)
    board.write(first, 3)
    assert board.is_crowded(second)
