"""What the system says of a process."""

from tremolo.worker.usage import KEPT, Crowding, occupied, resident, scheduled


def test_a_process_has_some_memory():
    assert resident() > 1 << 20


def test_waiting_for_a_processor_is_being_occupied(tmp_path):
    file = tmp_path / "schedstat"
    file.write_text("1500000000 500000000 7\n")
    assert occupied(scheduled(str(file)), 1.5) == 2.0
    file.write_text("1600000000 900000000 9\n")
    assert occupied(scheduled(str(file)), 1.6) == 2.5


def test_where_the_system_says_nothing_the_processor_seconds_count(tmp_path):
    file = tmp_path / "schedstat"
    for text in (None, "", "0"):
        if text is not None:
            file.write_text(text)
        assert occupied(scheduled(str(file)), 1.5) == 1.5


def test_it_is_crowded_where_a_good_part_of_the_time_is_spent_waiting_for_a_processor():
    has_run = has_waited = 0.0
    crowding = Crowding(0.0, (has_run, has_waited))
    for turn, (ran, waited) in enumerate([
            (0.05, 0.001), (0.05, 0.01), (0.0001, 0.001), (0.05, 0.03), (0.001, 0.01),
            (0.05, 0.001)], 1):
        has_run += ran
        has_waited += waited
        crowding.turn(turn / 10, (has_run, has_waited))
    assert [crowding.during(turn / 10 + 0.01, turn / 10 + 0.09) for turn in range(6)] == [
        False, False, False, True, True, False]
    assert crowding.during(0.0, 9.0), "part of it"
    crowding.turn(0.5 + KEPT + 0.1, (has_run, has_waited))
    assert not crowding.during(0.0, 9.0)


def test_where_the_system_says_nothing_nothing_is_crowded():
    crowding = Crowding(0.0, None)
    crowding.turn(0.1, None)
    assert not crowding.during(0.0, 1.0)
