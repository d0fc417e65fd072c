// Tells the server what the console of this page says, and what fails in it: its own origin, and
// nobody else. Ahead of refresh.js in what pages load; bounded, and what is too much is counted.
(function () {
  "use strict";

  var script = document.currentScript;
  if (!script || !script.dataset.page || window.__tremolo_console__) {
    return;
  }
  Object.defineProperty(window, "__tremolo_console__", {value: true});

  var ROOT = location.origin + "/__tremolo__/";
  var MAX_WAITING = 50, MAX_TEXT = 2000, PAUSE = 250, PAUSE_AFTER_FAILURE = 5000;
  var page = script.dataset.page, made = script.dataset.generation, path = location.pathname;
  var plainFetch = window.fetch, token = null, waiting = [], leftOut = 0, timer = 0, sending = false;

  // -- sending -----------------------------------------------------------------------------

  function note(level, kind, text, place) {
    try {
      text = String(text).slice(0, MAX_TEXT);
      place = String(place || "").replace(location.origin, "").slice(0, 300);
      var last = waiting[waiting.length - 1];
      if (last && last.text === text && last.place === place && last.level === level) {
        last.times += 1;
      } else if (waiting.length < MAX_WAITING) {
        waiting.push({level: level, kind: kind, text: text, place: place, times: 1});
      } else {
        leftOut += 1;
      }
      if (!timer && !sending) {
        timer = setTimeout(send, PAUSE);
      }
    } catch (error) {
      // Nothing of this may reach the page.
    }
  }

  function send() {
    timer = 0;
    sending = true;
    (token === null ? askToken() : Promise.resolve()).then(post).then(function (delivered) {
      sending = false;
      if ((waiting.length || leftOut) && !timer) {
        timer = setTimeout(send, delivered ? PAUSE : PAUSE_AFTER_FAILURE);
      }
    });
  }

  function askToken() {
    return plainFetch.call(window, ROOT + "token", {headers: {"X-Tremolo": "refresh"},
                                                    cache: "no-store"})
      .then(function (response) { return response.ok ? response.text() : null; })
      .then(function (text) { token = text; })
      .catch(function () { token = null; });
  }

  function post() {
    if (token === null) {
      return false;
    }
    var lines = waiting, left = leftOut;
    waiting = [];
    leftOut = 0;
    return plainFetch.call(window, ROOT + "console?token=" + encodeURIComponent(token), {
      method: "POST", keepalive: true, headers: {"X-Tremolo": "refresh"},
      body: JSON.stringify({page: page, generation: made, path: path, lines: lines, left_out: left})
    }).then(function (response) {
      token = response.status === 403 ? null : token;
      return response.ok;
    }).catch(function () {
      leftOut += left + lines.length;
      return false;
    });
  }

  window.addEventListener("pagehide", function () {
    if (waiting.length && token !== null) {
      post();
    }
  });

  // -- what is noted -----------------------------------------------------------------------

  window.addEventListener("error", function (event) {
    var target = event.target;
    if (target && target !== window && target.tagName) {
      note("error", "load", "<" + target.tagName.toLowerCase() + "> could not be loaded",
           target.currentSrc || target.src || target.href);
      return;
    }
    var stack = event.error && event.error.stack;
    note("error", "error", stack && stack.indexOf(event.error.message) >= 0 ? stack : event.message,
         event.filename ? event.filename + ":" + event.lineno + ":" + event.colno : "");
  }, true);

  window.addEventListener("unhandledrejection", function (event) {
    note("error", "rejection", "unhandled rejection: " + shown(event.reason), "");
  });

  ["error", "warn"].forEach(function (name) {
    var plain = console[name];
    console[name] = function () {
      note(name === "warn" ? "warning" : "error", "console",
           Array.prototype.map.call(arguments, shown).join(" "), "");
      return plain.apply(this, arguments);
    };
  });

  function shown(value) {
    try {
      if (value instanceof Error) {
        return value.stack && value.stack.indexOf(value.message) >= 0 ? value.stack : String(value);
      }
      if (typeof value === "object" && value !== null) {
        return String(JSON.stringify(value)).slice(0, MAX_TEXT);
      }
      return String(value);
    } catch (error) {
      return Object.prototype.toString.call(value);
    }
  }

  function failed(method, url, status) {
    if (String(url).indexOf(ROOT) === 0) {
      return;
    }
    note(status >= 500 || !status ? "error" : "warning", "fetch",
         method + " " + String(url).replace(location.origin, "") + " → " +
         (status || "no response"), "");
  }

  if (typeof plainFetch === "function") {
    window.fetch = function (resource, options) {
      var result = plainFetch.apply(this, arguments);
      var method = (options && options.method || resource && resource.method || "GET");
      var url = resource && resource.url || String(resource);
      result.then(function (response) {
        if (response.status >= 400) {
          failed(String(method).toUpperCase(), url, response.status);
        }
      }, function (error) {
        if (!error || error.name !== "AbortError") {
          failed(String(method).toUpperCase(), url, 0);
        }
      });
      return result;
    };
  }

  var open = XMLHttpRequest.prototype.open;
  XMLHttpRequest.prototype.open = function (method, url) {
    this.addEventListener("loadend", function () {
      if (this.status >= 400) {
        failed(String(method).toUpperCase(), url, this.status);
      }
    });
    this.addEventListener("error", function () {
      failed(String(method).toUpperCase(), url, 0);
    });
    return open.apply(this, arguments);
  };
})();
