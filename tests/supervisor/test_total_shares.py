"""How the cap of the whole server is divided between its workers."""

import pytest

from tremolo.supervisor.total_shares import TotalShares
from tremolo.throttle import PRESETS, Throttle

TOTAL = Throttle(download=1_000_000, upload=500_000)


def frame(down, up=0):
    return {"waiting": [down, up]}


def test_workers_without_demand_share_alike():
    shares = TotalShares().divide(TOTAL, [1, 2])
    assert [shares[pid].download for pid in (1, 2)] == [500_000, 500_000]
    assert [shares[pid].upload for pid in (1, 2)] == [250_000, 250_000]


def test_demand_moves_the_rate_and_the_sum_stays():
    shares = TotalShares()
    shares.note(1, frame(9))
    shares.note(2, frame(0))
    divided = shares.divide(TOTAL, [1, 2])
    assert divided[1].download > 900_000
    assert divided[2].download > 0
    assert sum(share.download for share in divided.values()) == pytest.approx(1_000_000)


def test_an_unlimited_direction_stays_so():
    divided = TotalShares().divide(Throttle(download=1000), [1, 2, 3])
    assert {share.upload for share in divided.values()} == {None}


def test_offline_is_offline_for_all():
    divided = TotalShares().divide(PRESETS["offline"], [1, 2])
    assert {(share.download, share.upload) for share in divided.values()} == {(0.0, 0.0)}


def test_only_noticeable_changes_are_sent():
    shares = TotalShares()
    assert set(shares.due(TOTAL, [1, 2])) == {1, 2}
    assert not shares.due(TOTAL, [1, 2])
    shares.note(1, frame(5))
    assert set(shares.due(TOTAL, [1, 2])) == {1, 2}
    shares.restart()
    assert set(shares.due(TOTAL, [1, 2])) == {1, 2}
    assert not shares.due(None, [1, 2])
