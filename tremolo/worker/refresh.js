// Refreshes this page when the server has new code. Loaded in development only.
//
// Listens to /__tremolo__/events while the page is visible; whatever ends that (a reload, a
// stop, a sleeping machine) it comes back, more slowly each time. The page is loaded anew when
// another generation of the code serves, and good, than the one that made it.
(function () {
  "use strict";

  var script = document.currentScript;
  if (!script || window.__tremolo__ || isWithinOurs()) {
    return;
  }
  Object.defineProperty(window, "__tremolo__", {value: true});

  // Not relative: a <base> of the page would lead elsewhere.
  var ROOT = location.origin + "/__tremolo__/";
  var FIRST_DELAY = 50, LONGEST_DELAY = 2000, DELAY_WHEN_REFUSED = 30000;
  var made = script.dataset.generation;
  var heard = performance.timeOrigin;  // when we last knew of all changes
  var source = null, timer = 0, attempt = 0, failures = 0, overlay = null, served = true;

  function isWithinOurs() {
    try {
      return window.parent !== window && Boolean(window.parent.__tremolo__);
    } catch (error) {
      return false;  // a page of another origin frames us
    }
  }

  // -- the connection ----------------------------------------------------------------------

  function connect() {
    disconnect();
    // Browsers allow six connections to a host: pages that nobody sees leave them to others.
    if (document.visibilityState === "hidden") {
      return;
    }
    var mine = attempt;
    fetch(ROOT + "token", {headers: {"X-Tremolo": "refresh"}, cache: "no-store"})
      .then(function (response) {
        if (!response.ok) {
          return connectLater(mine, DELAY_WHEN_REFUSED);
        }
        return response.text().then(function (token) {
          if (mine === attempt) {
            listen(mine, token);
          }
        });
      })
      .catch(function () { connectLater(mine, 0); });
  }

  function listen(mine, token) {
    source = new EventSource(ROOT + "events?token=" + encodeURIComponent(token) +
                             "&since=" + Math.floor(heard));
    source.onerror = function () { connectLater(mine, 0); };
    on("generation", onGeneration);
    on("broken", showOrHide);
    on("assets", onAssets);
  }

  function on(name, callback) {
    source.addEventListener(name, function (event) { callback(JSON.parse(event.data)); });
  }

  function disconnect() {
    attempt += 1;
    clearTimeout(timer);
    if (source) {
      source.close();
      source = null;
    }
  }

  function connectLater(mine, least) {
    if (mine !== attempt) {
      return;
    }
    disconnect();
    var delay = Math.min(LONGEST_DELAY, FIRST_DELAY * Math.pow(2, failures));
    failures += 1;
    timer = setTimeout(connect, Math.max(least, delay * (0.5 + Math.random() / 2)));
  }

  document.addEventListener("visibilitychange", function () {
    failures = 0;
    if (document.visibilityState === "hidden") {
      disconnect();
    } else if (!source) {
      connect();
    }
  });
  window.addEventListener("pagehide", disconnect);
  window.addEventListener("pageshow", function (event) {
    if (event.persisted) {
      connect();
    }
  });

  // -- what is told ------------------------------------------------------------------------

  function onGeneration(state) {
    failures = 0;
    heard = state.t;
    if (state.good && state.id !== made) {
      refreshFor(state.id);
    }
    served = state.good;
    // The page of a broken start says itself what is wrong.
    showOrHide(state.good || state.id !== made ? state.broken : null);
  }

  function refreshFor(generation) {
    // A page that comes from a cache keeps the generation that made it: once is enough.
    var mark = generation + " " + location.href;
    try {
      if (sessionStorage.getItem("__tremolo__") === mark) {
        return;
      }
      sessionStorage.setItem("__tremolo__", mark);
    } catch (error) {
      return;  // no storage: better no refresh than one without end
    }
    location.reload();
  }

  function onAssets(change) {
    var files = change.files;
    heard = change.t;
    var styles = files.length > 0 && files.every(function (file) {
      return /\.css$/i.test(file);
    });
    if (!styles || !files.map(swapStyle).every(Boolean)) {
      location.reload();
    }
  }

  function swapStyle(file) {
    var name = file.split("/").pop();
    var found = false;
    document.querySelectorAll('link[rel~="stylesheet"][href]').forEach(function (link) {
      var url = new URL(link.href);
      if (url.origin !== location.origin || nameOf(url) !== name
          || link.hasAttribute("data-tremolo-old")) {
        return;
      }
      found = true;
      url.searchParams.set("tremolo", Date.now().toString(36));
      var fresh = link.cloneNode();
      fresh.removeAttribute("integrity");
      // The old one stays until the new one is there, or the page would flash.
      fresh.onload = fresh.onerror = function () { link.remove(); };
      fresh.href = url.href;
      link.setAttribute("data-tremolo-old", "");
      link.after(fresh);
    });
    return found;
  }

  function nameOf(url) {
    var name = url.pathname.split("/").pop();
    try {
      return decodeURIComponent(name);
    } catch (error) {
      return name;
    }
  }

  // -- the overlay -------------------------------------------------------------------------

  function showOrHide(error) {
    if (overlay) {
      overlay.remove();
      overlay = null;
    }
    if (error) {
      overlay = makeOverlay(error);
      document.documentElement.append(overlay);
    }
  }

  // All that the error says becomes text, never markup. Styles are set one by one, since a
  // style attribute would need the leave of the page's policy.
  function element(name, style, text) {
    var node = document.createElement(name);
    Object.keys(style).forEach(function (property) { node.style[property] = style[property]; });
    if (text !== undefined) {
      node.textContent = text;
    }
    return node;
  }

  function makeOverlay(error) {
    var host = element("tremolo-overlay", {all: "initial", position: "fixed", inset: "0",
                                           zIndex: "2147483647", display: "block"});
    var shade = element("div", {position: "absolute", inset: "0", overflow: "auto",
                                boxSizing: "border-box", padding: "6vh 5vw",
                                background: "rgba(20, 20, 24, 0.85)"});
    var card = element("div", {maxWidth: "70rem", margin: "0 auto", padding: "1.5rem 2rem",
                               boxSizing: "border-box", borderRadius: "8px", color: "#eee",
                               background: "#1d1d22", borderTop: "4px solid #e5484d",
                               font: "15px/1.5 system-ui, sans-serif"});
    card.setAttribute("role", "alert");
    var close = element("button", {float: "right", font: "inherit", color: "#aaa", border: "0",
                                   background: "none", cursor: "pointer"}, "\u2715 Esc");
    close.addEventListener("click", function () { showOrHide(null); });
    var place = error.file ? error.file + (error.line ? ":" + error.line : "") : "";
    card.append(
      close,
      element("div", {color: "#ff8589", fontSize: "1.2rem", overflowWrap: "anywhere"},
              error.type + (error.text ? ": " + error.text : "")),
      element("div", {color: "#aaa", overflowWrap: "anywhere"}, place),
      element("pre", {font: "13px/1.5 ui-monospace, monospace", whiteSpace: "pre-wrap",
                      overflowWrap: "anywhere", margin: "1rem 0"}, error.traceback),
      element("div", {color: "#aaa"},
              (served ? "The code that ran before goes on serving. " : "") +
              "This page is refreshed when a save repairs it."));
    shade.append(card);
    host.attachShadow({mode: "open"}).append(shade);
    return host;
  }

  document.addEventListener("keydown", function (event) {
    if (overlay && event.key === "Escape") {
      showOrHide(null);
    }
  });

  connect();
})();
