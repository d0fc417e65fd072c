"""What looking into requests costs: a request with ten queries, unwatched and watched.

    python tests/benchmarks/insight.py [ROUNDS] [--loaded]

Each request looked into, and told: the application's part is called in this process, without
sockets, and the processor time that a request takes at least is printed, for what else runs on a
machine only adds to it. That is what one costs where there is time for all. sqlite3 by itself is
the worst case, since its queries cost next to nothing; Django's and SQLAlchemy's are what
requests are made of.

With `--loaded`, as a worker really runs: below `wrk`, which is needed, with a viewer and without
by turns, the processor time of the worker a request, and how many of the requests were looked
into: under load that is a sample, so that being watched takes a share of the time. (Not in the
first moments after a rest, when all that a page loads is looked into whatever it costs: of a load
of two seconds that is most.) In brackets are the least and the most of the rounds.
"""

import argparse
import logging
import os
import pathlib
import statistics
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

from tests.benchmarks.servers import ROOT, answered, cpu_seconds, wrk
from tests.support.serving import run, serving
from tests.support.watching import Watched
from tremolo.insight.insight import Insight
from tremolo.telemetry.builders import insight_event
from tremolo.telemetry.codec import encode

QUERIES = 10
#: of load, with a viewer and without
SECONDS, CONNECTIONS = 5, 4
#: for as many loads as that all three are done in less than three minutes, and as often with a
#: viewer first as without one
ROUNDS, LOADED_ROUNDS = 15, 4
REQUESTS = 20  # a round: short, so that some are interrupted by nobody


def by_sqlite3():
    import sqlite3

    connection = sqlite3.connect(":memory:")
    connection.execute("create table t (a, b)")
    connection.executemany("insert into t values (?, ?)", [(n, "x" * 50) for n in range(200)])

    def request():
        for n in range(QUERIES):
            connection.execute("select a, b from t where a >= ?", (n,)).fetchall()

    return request


def by_django():
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    import django
    from django.conf import settings
    from django.db import connection, models

    file = tempfile.NamedTemporaryFile(suffix=".sqlite3")  # noqa: SIM115 - until the end
    settings.configure(DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3",
                                              "NAME": file.name}})
    django.setup()

    class Item(models.Model):
        name = models.TextField()

        class Meta:
            app_label = "shop"

    with connection.schema_editor() as editor:
        editor.create_model(Item)
    Item.objects.bulk_create(Item(name="x" * 50) for _ in range(20))

    def request(file=file):
        for n in range(QUERIES):
            list(Item.objects.filter(pk__gte=n))

    return request


def by_sqlalchemy():
    import sqlalchemy
    from sqlalchemy import orm
    from sqlalchemy.pool import StaticPool

    engine = sqlalchemy.create_engine("sqlite://", poolclass=StaticPool)

    class Base(orm.DeclarativeBase):
        pass

    class Item(Base):
        __tablename__ = "item"
        id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
        name: orm.Mapped[str]

    Base.metadata.create_all(engine)
    with orm.Session(engine) as session:
        session.add_all([Item(name="x" * 50) for _ in range(20)])
        session.commit()

    def request():
        with orm.Session(engine) as session:
            for n in range(QUERIES):
                session.scalars(sqlalchemy.select(Item).where(Item.id >= n)).all()

    return request


async def measure(request, insight, rounds):
    """Seconds of processor that a request takes at least, by what is done for viewers."""
    async def handle(exchange):
        request()
        exchange.response.respond(200, [], b"")

    def tell():
        for id in list(insight._records):
            insight.row(id, 200, True, 0.0, 0.01)
        while insight._untold:
            insight.tick(0.0)

    async with serving(handle) as site:
        insight.serve(site.server)
        insight.on_facts = lambda facts: encode(insight_event(1, 1, facts))
        spent = {"unwatched": [], "looked into": [], "and told": []}
        for _ in range(rounds):
            for level in (0, 1):
                insight.watch(level)
                await site.get()
                tell()
                began = time.process_time()
                for _ in range(REQUESTS):
                    await site.get()
                asked = time.process_time()
                tell()
                told = time.process_time()
                spent["looked into" if level else "unwatched"].append(asked - began)
                spent["and told"].append(told - began if level else float("inf"))
            insight.watch(0)
        return {name: min(times) / REQUESTS for name, times in spent.items()}


#: made with the first request, when there is a viewer already
APP = """
import sys
sys.path.insert(0, {root!r})
from tests.benchmarks import insight
made = []

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        return
    if not made:
        made.append(insight.by_{name}())
    made[0]()
    await send({{"type": "http.response.start", "status": 200, "headers": []}})
    await send({{"type": "http.response.body", "body": b"ok"}})
"""


def loaded(name, rounds):
    """Seconds of the worker's processor a request without a viewer, their ratios with one to
    without, and the part of the requests that were looked into."""
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "shop.py").write_text(APP.format(root=str(ROOT), name=name))
        with Watched(folder, "shop:app") as server:
            pid = server.wait_for("worker", state="serving")["pid"]
            server.command("detail", level=1)
            answered(server.port)
            plain, ratios, looked_into, asked = [], [], 0, 0
            for turn in range(-1, rounds):
                spent = {}
                for level in (1, 0) if turn % 2 else (0, 1):
                    server.command("detail", level=level)
                    before, rows = cpu_seconds([pid]), len(server.find("request"))
                    _, count = wrk(server.port, CONNECTIONS, SECONDS)
                    time.sleep(0.3)
                    spent[level] = (cpu_seconds([pid]) - before) / count
                    if level and turn >= 0:
                        asked += count
                        looked_into += sum(not row.get("unobserved")
                                           for row in server.find("request")[rows:])
                if turn >= 0:  # the first of each is for warming up
                    plain.append(spent[0])
                    ratios.append(spent[1] / spent[0])
    return statistics.median(plain), ratios, looked_into / asked


def each_told(make, rounds):
    insight = Insight(logging.getLogger("tremolo"), is_project=lambda path: path == __file__)
    insight.watch(1)  # of sqlite3 only connections that are made meanwhile are observed
    try:
        request = make()
    finally:
        insight.watch(0)
    found = {}

    async def measured():
        found.update(await measure(request, insight, rounds))

    run(measured, 600.0)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("rounds", nargs="?", type=int)
    parser.add_argument("--loaded", action="store_true")
    options = parser.parse_args()
    rounds = options.rounds or (LOADED_ROUNDS if options.loaded else ROUNDS)
    if options.loaded:
        print(f"{'ten queries by':<14} {'unwatched':>12} {'watched':>22} {'looked into':>12}")
    else:
        print(f"{'ten queries by':<14} {'unwatched':>12} {'looked into':>12} {'and told':>12}")
    for make in (by_sqlite3, by_django, by_sqlalchemy):
        name = make.__name__[3:]
        if options.loaded:
            plain, ratios, part = loaded(name, rounds)
            spread = f"{statistics.median(ratios):.3f}x ({min(ratios):.2f}-{max(ratios):.2f})"
            print(f"{name:<14} {plain * 1e6:>9,.0f} us {spread:>22} {part:>11.0%}", flush=True)
            continue
        try:
            found = each_told(make, rounds)
        except ImportError as exc:
            print(f"{name:<14} not measured: {exc}")
            continue
        plain = found["unwatched"]
        print(f"{name:<14} {plain * 1e6:>9,.0f} us {found['looked into'] / plain:>11.3f}x"
              f" {found['and told'] / plain:>11.3f}x", flush=True)


if __name__ == "__main__":
    main()
