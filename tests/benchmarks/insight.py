"""What looking into requests costs: a request with ten queries, unwatched and watched.

    python tests/benchmarks/insight.py [ROUNDS]

The application's part is called in this process, without sockets: rounds of both kinds take
turns, and the median of their ratios is printed. sqlite3 by itself is the worst case, since its
queries cost next to nothing; Django's and SQLAlchemy's are what requests are made of.
"""

import logging
import os
import statistics
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from tests.support.serving import run, serving
from tremolo.insight.insight import Insight

QUERIES = 10
REQUESTS = 60


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
    """Seconds of processor a request, and the median ratio of watched to unwatched ones."""
    async def handle(exchange):
        request()
        exchange.response.respond(200, [], b"")

    async with serving(handle) as site:
        insight.serve(site.server)
        ratios, plain = [], []
        for _ in range(rounds):
            spent = {}
            for level in (0, 1):
                insight.watch(level)
                await site.get()
                began = time.process_time()
                for _ in range(REQUESTS):
                    await site.get()
                for id in list(insight._records):
                    insight.row(id, 200, True, 0.0, 0.01)
                while insight._untold:
                    insight.tick(0.0)
                spent[level] = (time.process_time() - began) / REQUESTS
            insight.watch(0)
            ratios.append(spent[1] / spent[0])
            plain.append(spent[0])
        return statistics.median(plain), statistics.median(ratios)


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    print(f"{'ten queries by':<14} {'unwatched':>12} {'watched':>9}")
    for make in (by_sqlite3, by_django, by_sqlalchemy):
        insight = Insight(logging.getLogger("tremolo"), is_project=lambda path: path == __file__)
        insight.watch(1)  # of sqlite3 only connections that are made meanwhile are observed
        try:
            request = make()
        except ImportError as exc:
            print(f"{make.__name__[3:]:<14} not measured: {exc}")
            continue
        finally:
            insight.watch(0)
        found = []

        async def measured(request=request, insight=insight, found=found):
            found.append(await measure(request, insight, rounds))

        run(measured, 300.0)
        seconds, ratio = found[0]
        print(f"{make.__name__[3:]:<14} {seconds * 1e6:>9,.0f} us {ratio:>8.3f}x")


if __name__ == "__main__":
    main()
