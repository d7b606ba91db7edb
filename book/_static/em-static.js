/* What explorers and quizzes need on a page without a kernel. */

/* 1. Widgets are loaded when one of them is about to come into sight (or before printing, if the reader has time): the page
 *    names the file with their state and the library that draws them (book/_ext/widgets.py). `emWidgets.load()` loads them
 *    at once and is kept when all are drawn. */
var emWidgets = (function () {
  var VIEW = 'script[type="application/vnd.jupyter.widget-view+json"]';
  var loading = null;

  function script(address) {
    return new Promise(function (done, failed) {
      var element = document.createElement("script");
      element.src = address;
      element.onload = done;
      element.onerror = function () { failed(new Error("cannot load " + address)); };
      document.head.append(element);
    });
  }

  /* The library waits for the page's load event, which is over: its listener is called at once. */
  function library(address) {
    var listen = window.addEventListener;
    window.addEventListener = function (kind, listener) {
      if (kind === "load") setTimeout(listener, 0);
      else listen.apply(window, arguments);
    };
    return script(address).finally(function () { window.addEventListener = listen; });
  }

  function drawn() {
    return new Promise(function (done) {
      (function look() {
        var all = Array.prototype.every.call(document.querySelectorAll(VIEW), function (view) {
          var before = view.previousElementSibling;
          return before && before.querySelector(".jupyter-widgets");
        });
        if (all) done(); else setTimeout(look, 50);
      })();
    });
  }

  function load() {
    var files = document.documentElement.dataset;
    if (!files.emManager) return Promise.resolve();
    loading = loading || script(files.emState).then(function () { return library(files.emManager); }).then(drawn);
    return loading;
  }

  function state(text) {
    var element = document.createElement("script");
    element.type = "application/vnd.jupyter.widget-state+json";
    element.textContent = text;
    document.head.append(element);
  }

  window.addEventListener("load", function () {
    if (!document.documentElement.dataset.emManager) return;
    var near = new IntersectionObserver(function (seen) {
      if (!seen.some(function (view) { return view.isIntersecting; })) return;
      near.disconnect();
      load();
    }, { rootMargin: "150% 0px" });
    document.querySelectorAll(VIEW).forEach(function (view) { near.observe(view.parentElement); });
    window.addEventListener("beforeprint", load);
  });

  return { load: load, state: state };
})();

/* 2. A button of the theme says other words than its name does; and widgets draw sliders and buttons without names. Both
 *    appear late or change by themselves, so we watch the page; an attribute is only set where it differs, or the
 *    watching would never end. */
function setAttribute(element, name, value) {
  if (element && element.getAttribute(name) !== value) element.setAttribute(name, value);
}

function giveNames() {
  document.querySelectorAll("svg.theme-switch").forEach(function (icon) {
    icon.querySelectorAll("title").forEach(function (title) { title.remove(); });
    setAttribute(icon, "aria-hidden", "true"); /* the button has a name */
  });
  document.querySelectorAll(".widget-slider .noUi-handle").forEach(function (handle) {
    var slider = handle.closest(".widget-slider");
    var readout = slider.querySelector(".widget-readout");
    setAttribute(handle, "aria-label", slider.querySelector(".widget-label").textContent || "position");
    if (!readout) return;
    setAttribute(handle, "aria-valuetext", readout.textContent);
    if (slider.closest(".em-explorer")) setAttribute(readout, "contenteditable", "false"); /* it names a frame */
  });
  document.querySelectorAll(".widget-play").forEach(function (play) {
    var label = play.parentElement.querySelector(".widget-label");
    var what = label && label.textContent ? ": " + label.textContent : "";
    var playing = Boolean(play.querySelector(".fa-pause"));
    ["Play", "Stop and go back to the first", "Repeat"].forEach(function (name, i) {
      setAttribute(play.querySelectorAll("button")[i], "aria-label", (i === 0 && playing ? "Pause" : name) + what);
    });
    /* The description of a new picture is read out, but not while the pictures run. */
    var explorer = play.closest(".em-explorer");
    if (explorer) setAttribute(explorer.querySelector(".em-stack"), "aria-live", playing ? "off" : "polite");
  });
}

document.addEventListener("DOMContentLoaded", function () {
  new MutationObserver(giveNames).observe(document.body, {
    subtree: true, childList: true, attributes: true, attributeFilter: ["class", "aria-valuetext"],
  });
});

/* 3. Quizzes show an explanation by CSS alone; this reads it out. */
document.addEventListener("change", function (event) {
  var quiz = event.target.closest(".em-quiz");
  if (quiz) quiz.querySelector(".em-said").textContent = event.target.parentElement.querySelector(".em-why").textContent;
});

/* 5. A notebook is saved, not shown as text. JupyterLite needs a server: on a page opened from the disk its button leads to
 *    where that is said. */
document.addEventListener("DOMContentLoaded", function () {
  document.querySelectorAll("a.btn-em-download").forEach(function (link) { link.download = ""; });
  if (location.protocol !== "file:") return;
  document.querySelectorAll("a.btn-em-lite").forEach(function (link) {
    link.href = link.href.replace(/lite\/notebooks\/index\.html.*$/, "book/appendix/how_to_read.html#running-the-code");
  });
});
