import threading

import work
from flask import Blueprint, Flask, render_template_string

app = Flask(__name__)


@app.get("/ok/<int:n>")
def ok(n):
    return work.ok(n)


@app.get("/raise/<int:n>")
def fail(n):
    work.fail(n)


@app.get("/thread/<int:n>")
def thread(n):
    return work.threaded(n)


@app.get("/many/<int:n>")
def many(n):
    return work.many(n)


@app.get("/later/<int:n>")
def later(n):
    threading.Thread(target=work.later, args=(n,)).start()
    return f"now {n}"


@app.get("/out/<int:n>")
def out(n):
    return work.out(n)


@app.get("/template/<int:n>")
def template(n):
    return render_template_string(work.TEMPLATE, n=n, noted=work.noted)


@app.get("/hooks")
def hooks():
    return work.hooks()


again = Blueprint("again", __name__, url_prefix="/again")


@again.get("/things/<int:n>")
def thing(n, who):
    return f"thing {n} of {who}"


below = Blueprint("below", __name__, url_prefix="/below/<who>")
below.register_blueprint(again)
app.register_blueprint(below)
