"""What workers must not share though they are forked from one process: random numbers."""

from tests.support.processes import ROOT, Server, hello, wait_until

RANDOM = hello("TEXT").replace('b"TEXT"', "NUMBERS") + """
import json, os, random, secrets, tempfile, uuid
import numpy.random

NUMBERS = json.dumps({
    "pid": os.getpid(), "imported_by": numpy.random.imported_by, "generation": GENERATION,
    "drawn": [random.random(), numpy.random.random(), secrets.token_hex(8), str(uuid.uuid4()),
              next(tempfile._get_candidate_names())]}).encode()
"""

# As much of NumPy as the server knows: a generator of its own, which no fork reseeds.
NUMPY = """
import os, random as _random

imported_by = os.getpid()
_generator = _random.Random()
seed = _generator.seed
random = _generator.random
"""


def test_each_forked_worker_draws_numbers_of_its_own(tmp_path):
    packages = tmp_path / "site-packages"
    (packages / "numpy").mkdir(parents=True)
    (packages / "numpy" / "__init__.py").write_text("")
    (packages / "numpy" / "random.py").write_text(NUMPY)
    generation = 0

    def write():
        nonlocal generation
        generation += 1
        (tmp_path / "shop.py").write_text(RANDOM.replace("GENERATION", str(generation)))

    write()
    with Server(tmp_path, "run", "shop:app", "--port", "0", "--workers", "2", "--reload",
                "--reload-mode", "zygote", PYTHONPATH=f"{packages}:{ROOT}") as server:
        def answers():
            """What both workers of the newest generation say, by process; {} until they do."""
            seen = {}
            for _ in range(100):
                said = server.get_json("/")
                if said["generation"] == generation:
                    seen[said["pid"]] = said
                if len(seen) == 2:
                    return seen
            return {}

        def both_were_forked_with_the_module():
            # The forking process imports it ahead some time after the first generation did.
            write()
            seen = wait_until(answers, "an answer of both workers")
            forked = all(said["imported_by"] != pid for pid, said in seen.items())
            return seen if forked else {}

        one, two = wait_until(both_were_forked_with_the_module, "a fork").values()
    assert one["imported_by"] == two["imported_by"]
    for first, second in zip(one["drawn"], two["drawn"]):
        assert first != second
