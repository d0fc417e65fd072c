import threading

import work
from django.db import connection
from django.http import HttpResponse
from django.template import engines
from django.urls import include, path, re_path
from django.views import View


def ok(request, n):
    return HttpResponse(work.ok(n))


def fail(request, n):
    work.fail(n)


def thread(request, n):
    return HttpResponse(work.threaded(n))


def many(request, n):
    connection.force_debug_cursor = n % 2 == 0  # which asks once more, for what it logs
    with connection.cursor() as cursor:
        return HttpResponse(work.many(n, cursor.execute, "%s"))


def later(request, n):
    threading.Thread(target=work.later, args=(n,)).start()
    return HttpResponse(f"now {n}")


def out(request, n):
    return HttpResponse(work.out(n))


def template(request, n):
    source = engines["django"].from_string("<p>template {{ n }} {{ noted }}</p>")
    return HttpResponse(source.render({"n": n, "noted": lambda: work.noted(n)}))


def hooks(request):
    return HttpResponse(work.hooks())


class Thing(View):
    def get(self, request, n, who):
        return HttpResponse(f"thing {n} of {who}")


urlpatterns = [
    path("ok/<int:n>", ok), path("raise/<int:n>", fail), path("thread/<int:n>", thread),
    path("many/<int:n>", many), path("later/<int:n>", later), path("out/<int:n>", out),
    path("template/<int:n>", template), path("hooks", hooks),
    path("below/<who>/", include([re_path("^again/things/(?P<n>[0-9]+)$", Thing.as_view())])),
]
