/* Loaded in <head>, before Font Awesome and before MathJax: what explorers and quizzes need on a page without a kernel. */

/* 1. The theme's Font Awesome replaces every <i> by an <svg>. The Play widget then fails on its own icon, and the frames
 *    linked to it stop moving. Icons that appear later (the widgets') are left alone; they bring their own icon font. */
window.FontAwesomeConfig = Object.assign({}, window.FontAwesomeConfig, { observeMutations: false });

/* 2. Widgets call the API of MathJax 2, `MathJax.Hub.Queue(["Typeset", MathJax.Hub, element])`; the book has MathJax 3. */
document.addEventListener("DOMContentLoaded", function () {
  /* Deferred scripts, MathJax among them, have run by now. A page without an equation has no MathJax. */
  var mathjax = window.MathJax;
  if (!mathjax || !mathjax.typesetPromise || mathjax.Hub) return;
  var chain = mathjax.startup.promise;
  mathjax.Hub = {
    Queue: function (command) {
      if (!Array.isArray(command) || command[0] !== "Typeset" || !command[2]) return;
      chain = chain.then(function () { return mathjax.typesetPromise([command[2]]); }).catch(console.error);
    },
  };
});

/* 3. Two buttons of the theme say other words than their names do; and widgets draw sliders and buttons without names. Both
 *    appear late or change by themselves, so we watch the page; an attribute is only set where it differs, or the
 *    watching would never end. */
function setAttribute(element, name, value) {
  if (element && element.getAttribute(name) !== value) element.setAttribute(name, value);
}

function giveNames() {
  document.querySelectorAll(".search-button-field[aria-label]").forEach(function (button) {
    button.removeAttribute("aria-label"); /* its text is its name */
  });
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

/* 4. Quizzes show an explanation by CSS alone; this reads it out. */
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
