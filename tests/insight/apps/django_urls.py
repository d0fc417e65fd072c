import threading

import work
from django.db import connection
from django.http import HttpResponse
from django.urls import include, path, re_path
from django.views import View


def ok(request, n):
    return HttpResponse(work.ok(n))


def fail(request, n):
    work.fail(n)


def thread(request, n):
    return HttpResponse(work.threaded(n))


def many(request, n):
    with connection.cursor() as cursor:
        return HttpResponse(work.many(n, cursor.execute, "%s"))


def later(request, n):
    threading.Thread(target=work.later, args=(n,)).start()
    return HttpResponse(f"now {n}")


def out(request, n):
    return HttpResponse(work.out(n))


class Thing(View):
    def get(self, request, n, who):
        return HttpResponse(f"thing {n} of {who}")


urlpatterns = [
    path("ok/<int:n>", ok), path("raise/<int:n>", fail), path("thread/<int:n>", thread),
    path("many/<int:n>", many), path("later/<int:n>", later), path("out/<int:n>", out),
    path("below/<who>/", include([re_path("^again/things/(?P<n>[0-9]+)$", Thing.as_view())])),
]
