// The query field of a segment: DjangoQL's completion, and below it who answers to what is typed.
"use strict";
(function () {
  function csrf() {
    return document.querySelector("[name=csrfmiddlewaretoken]").value;
  }

  function editor(field) {
    const live = document.createElement("div");
    live.className = "sol-live";
    live.setAttribute("aria-live", "polite");
    field.insertAdjacentElement("afterend", live);

    let waiting = null;
    let asked = null;
    async function count() {
      if (asked) asked.abort();
      asked = new AbortController();
      try {
        const answer = await fetch(field.dataset.count, {
          method: "POST",
          headers: { "X-CSRFToken": csrf() },
          body: new URLSearchParams({ query: field.value }),
          signal: asked.signal,
        });
        if (answer.ok) live.innerHTML = await answer.text();
      } catch (error) {
        if (error.name !== "AbortError") throw error;
      }
    }
    function soon() {
      clearTimeout(waiting);
      waiting = setTimeout(count, 350);
    }
    field.addEventListener("input", soon);
    // The completion writes into the field without telling it.
    let seen = field.value;
    field.addEventListener("keyup", function () {
      if (field.value !== seen) { seen = field.value; soon(); }
    });
    document.addEventListener("mouseup", function () {
      setTimeout(function () { if (field.value !== seen) { seen = field.value; soon(); } }, 0);
    });
    if (field.value.trim()) count();

    fetch(field.dataset.introspect)
      .then(function (answer) { return answer.json(); })
      .then(function (names) { complete(field, names, soon); });
  }

  function complete(field, names, soon) {
    const completion = new window.DjangoQL({
      introspections: names,
      selector: field,
      autoResize: false,
      valuesCaseSensitive: false,
      // Enter makes a new line; the script would send the form.
      onSubmit: function () {
        field.setRangeText("\n", field.selectionStart, field.selectionEnd, "end");
        soon();
      },
    });
    // Whoever was faster than the names is not left without them.
    if (document.activeElement === field) completion.popupCompletion();
  }

  window.DjangoQL.DOMReady(function () {
    document.querySelectorAll("textarea[data-introspect]").forEach(editor);
  });
})();
