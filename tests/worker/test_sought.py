"""What of viewers' filters can be judged while there are more requests than can be shown."""

import types

import pytest

from tremolo.exceptions import CommandError
from tremolo.worker.sought import LONGEST, MAX_JUDGED, MOST, sought_by


def exchange(method=b"GET", target=b"/", status=200, peer=("10.0.0.7", 1234), ttfb=0.01,
             bytes_in=0, bytes_out=0, conn=1):
    return types.SimpleNamespace(
        begun=5.0, held=0.0, ended=5.02, bytes_in=bytes_in,
        head=types.SimpleNamespace(method=method, target=target, path=target.partition(b"?")[0]),
        connection=types.SimpleNamespace(peer=peer, id=conn),
        response=types.SimpleNamespace(status=status, first_byte=5.0 + ttfb,
                                       bytes_out=bytes_out))


@pytest.mark.parametrize("text, meant, others", [
    ("rare", {"target": b"/api/RARE?x=1"}, {"target": b"/api"}),
    ("path:/api/*/b", {"target": b"/api/a/b"}, {"target": b"/api/b"}),
    ("käse", {"target": b"/k%C3%A4se"}, {"target": b"/kase"}),
    ("m:post", {"method": b"POST"}, {}),
    ("!m:get", {"method": b"HEAD"}, {}),
    ("ip:10.0.0.8", {"peer": ("10.0.0.8", 1)}, {}),
    ("conn:7 /a", {"conn": 7, "target": b"/a"}, {"conn": 7}),
    ("/a | m:post", {"method": b"POST"}, {"target": b"/b"}),
    ("/a s:5xx h:cookie", {"target": b"/a"}, {"target": b"/b"}),
])
def test_what_is_known_at_the_beginning_is_judged_there(text, meant, others):
    [sought] = sought_by([text])
    assert sought.ends is None
    for _ in range(2):  # by heart the second time
        assert sought.begins(exchange(**meant)) and not sought.begins(exchange(**others))


@pytest.mark.parametrize("text, meant, others", [
    ("s:404", {"status": 404}, {}),
    ("!s:2xx", {"status": 302}, {}),
    ("size>10k", {"bytes_out": 10_001}, {"bytes_out": 10_000}),
    ("in>1k", {"bytes_in": 2_000}, {}),
    ("ttfb>50", {"ttfb": 0.06}, {"ttfb": 0.04}),
    ("/a | s:404", {"target": b"/a"}, {"target": b"/b"}),
    ("s:404 b:total", {"status": 404}, {}),
])
def test_what_is_known_at_the_end_is_judged_there(text, meant, others):
    [sought] = sought_by([text])
    assert sought.begins is None and sought.slower == 0
    assert sought.ends(exchange(**meant), 0.02) and not sought.ends(exchange(**others), 0.02)


@pytest.mark.parametrize("text, slower", [
    ("ms>50", 0.05), ("ms>=1.5s", 1.5), ("ms>50 ms>80", 0.08), ("ms>50 | ms>20 s:404", 0.02),
    ("ms>50 | s:404", 0.0), ("!ms>50", 0.0), ("ms<50", 0.0)])
def test_what_took_less_than_a_filter_asks_for_need_not_be_judged(text, slower):
    assert sought_by([text])[0].slower == pytest.approx(slower)


@pytest.mark.parametrize("text", ["", "h:cookie", "b:total", "route:/a", "type:json", "live:",
                                  "err:", "marked:", "/a | h:cookie", "s:404 | b:total"])
def test_what_would_cost_more_to_judge_is_left_to_who_is_shown_a_sample(text):
    assert sought_by([text]) == []


@pytest.mark.parametrize("text, by_target", [
    ("/a", True), ("/a | /b", True), ("m:get /a", False), ("ip:10", False)])
def test_it_is_known_whether_a_target_alone_decides(text, by_target):
    assert sought_by([text])[0].by_target is by_target


def test_business_of_the_servers_own_is_not_looked_for():
    for text in ("m:get", "ip:10"):
        [sought] = sought_by([text])
        assert sought.begins(exchange()) and not sought.begins(
            exchange(target=b"/__tremolo__/events"))


def test_judgements_are_remembered_of_so_many():
    [sought] = sought_by(["/1"])
    [judged] = [cell.cell_contents for cell in sought.begins.__closure__
                if isinstance(cell.cell_contents, dict)]
    for number in range(2 * MAX_JUDGED):
        assert sought.begins(exchange(target=b"/%d" % number)) is str(number).startswith("1")
        assert len(judged) <= MAX_JUDGED


@pytest.mark.parametrize("filters, words", [
    (["/a"] * (MOST + 1), "at most"), (["/" * (LONGEST + 1)], "at most"), ([5], "texts"),
    (["ms:5"], "ms is compared"), (['"open'], "a quote is not closed")])
def test_what_is_no_filter_is_refused(filters, words):
    with pytest.raises(CommandError, match=words):
        sought_by(filters)
