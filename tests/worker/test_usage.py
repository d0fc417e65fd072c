"""What the system says of a process."""

import time

from tremolo.worker.usage import Occupied, resident


def test_a_process_has_some_memory():
    assert resident() > 1 << 20


def test_waiting_for_a_processor_is_being_occupied(tmp_path):
    file = tmp_path / "schedstat"
    file.write_text("1500000000 500000000 7\n")
    occupied = Occupied(str(file))
    assert occupied() == 2.0
    file.write_text("1600000000 900000000 9\n")
    assert occupied() == 2.5


def test_where_the_system_says_nothing_the_processor_seconds_count(tmp_path):
    file = tmp_path / "schedstat"
    for text in (None, "", "0"):
        if text is not None:
            file.write_text(text)
        before = time.process_time()
        assert before <= Occupied(str(file))() <= time.process_time()
