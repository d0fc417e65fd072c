"""Whatever is done to a project, in whatever order and time: what serves in the end is what a
fresh process answers, or both fail, and that is shown.

A few dozen changes by default; `TREMOLO_SAVES=500` for as many as it takes to meet a rare race,
`TREMOLO_SEED=N` to do the same again as far as clocks allow it.
"""

import os
import random
import time

import pytest

from tests.support.processes import Server
from tests.support.random_project import RandomProject

CHANGES = int(os.environ.get("TREMOLO_SAVES", "70"))
SEED = int(os.environ.get("TREMOLO_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 30)
BETWEEN_QUIET_POINTS = 10
QUIET_LIMIT = 12.0
GAPS = (0.001, 0.003, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4)


class Choices(random.Random):
    """What is random, pauses too."""

    pause = staticmethod(time.sleep)


def last_reload(server):
    events = server.find("reload")
    return events[-1] if events else {}


def agrees(server, expected):
    """Whether what serves is what a fresh process answers; what does, to be shown."""
    if expected is None:
        state = last_reload(server).get("state")
        return state == "failed", f"the last reload: {state}"
    try:
        status, body = server.get()
    except OSError as exc:
        return False, repr(exc)
    answer = body.decode() if status == 200 else "fails"
    return answer == expected and last_reload(server).get("state") == "ready", answer


@pytest.mark.slow
def test_what_serves_is_what_a_fresh_process_answers(tmp_path):
    rng = Choices(SEED)
    print("seed", SEED)
    project = RandomProject(tmp_path / "project", rng)
    with Server(tmp_path, "dev", "shop:app", "--port", "0", cwd=project.folder) as server:
        server.wait_for("hello")
        for number in range(1, CHANGES + 1):
            project.change()
            time.sleep(rng.choice(GAPS) * rng.uniform(0.5, 1.5))
            if number % BETWEEN_QUIET_POINTS and number < CHANGES:
                continue
            expected = project.fresh()
            end = time.monotonic() + QUIET_LIMIT
            same, served = agrees(server, expected)
            while not same:
                assert time.monotonic() < end, "\n".join((
                    f"seed {SEED}, after {number} changes", *project.log[-30:],
                    f"fresh:  {expected}", f"served: {served}", server.said()))
                time.sleep(0.02)
                same, served = agrees(server, expected)
            project.log.append(f"-- quiet, {'served' if expected else 'failed'}")
        outcomes = project.log.count("-- quiet, served"), project.log.count("-- quiet, failed")
        print(*project.log, sep="\n")
    assert outcomes[0], "no state of the project ever worked"
    assert not server.errors
