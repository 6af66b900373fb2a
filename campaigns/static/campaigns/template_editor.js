// The texts of a template version: one tab per text, variables to put in, and how it reads while it is written.
"use strict";
(function () {
  const INSERT = ["subject", "body", "text"];

  function field(group, name) {
    return group.querySelector("[name$='-" + name + "']");
  }

  function insertable(group, names) {
    let last = field(group, "body");
    INSERT.forEach(function (name) {
      const input = field(group, name);
      if (input) input.addEventListener("focus", function () { last = input; });
    });
    const palette = document.createElement("details");
    palette.innerHTML = "<summary class='sol-link'></summary><div class='sol-palette'></div>";
    palette.firstChild.textContent = names.title;
    names.variables.forEach(function (variable) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = variable.name;
      button.title = variable.description + (variable.example ? " (" + variable.example + ")" : "");
      button.addEventListener("click", function () {
        last.setRangeText(variable.insert, last.selectionStart, last.selectionEnd, "end");
        last.dispatchEvent(new Event("input", { bubbles: true }));
        last.focus();
      });
      palette.lastChild.append(button);
    });
    return palette;
  }

  function tried(group, names) {
    const body = field(group, "body");
    const box = document.createElement("div");
    box.className = "sol-try";
    box.innerHTML = "<div class='sol-try-bar'></div><div aria-live='polite'></div>";
    const chosen = { look: "desktop", colours: "light", part: "html" };
    names.choices.forEach(function (choice) {
      const select = document.createElement("select");
      select.setAttribute("aria-label", choice.label);
      choice.options.forEach(function (option) { select.add(new Option(option[1], option[0])); });
      select.addEventListener("change", function () { chosen[choice.name] = select.value; show(); });
      box.firstChild.append(select);
    });
    box.firstChild.classList.add("sol-preview-bar");

    let asked = null;
    async function show() {
      if (asked) asked.abort();
      asked = new AbortController();
      const sent = new URLSearchParams(chosen);
      ["subject", "body", "text", "language", "channel"].forEach(function (name) {
        const input = field(group, name);
        sent.set(name, input ? input.value : "");
      });
      try {
        const answer = await fetch(body.dataset.render, {
          method: "POST",
          headers: { "X-CSRFToken": document.querySelector("[name=csrfmiddlewaretoken]").value },
          body: sent,
          signal: asked.signal,
        });
        if (answer.ok) box.lastChild.innerHTML = await answer.text();
      } catch (error) {
        if (error.name !== "AbortError") throw error;
      }
    }
    let waiting = null;
    group.addEventListener("input", function () {
      clearTimeout(waiting);
      waiting = setTimeout(show, 400);
    });
    // Only what is looked at is worked out: a template has a text for each language and channel.
    group.addEventListener("sol:picked", show);
    return box;
  }

  function edit(group, names) {
    if (group.dataset.edited) return;
    group.dataset.edited = "1";
    const body = field(group, "body");
    body.insertAdjacentElement("afterend", tried(group, names));
    body.insertAdjacentElement("afterend", insertable(group, names));
  }

  function tabs(groups) {
    if (groups.length === 1) groups[0].dispatchEvent(new Event("sol:picked"));
    if (groups.length < 2) return;
    const bar = document.createElement("nav");
    bar.className = "sol-chips sol-text-tabs";
    function pick(number) {
      groups.forEach(function (group, at) { group.hidden = at !== number; });
      groups[number].dispatchEvent(new Event("sol:picked"));
      [...bar.children].forEach(function (chip, at) { chip.classList.toggle("active", at === number); });
    }
    groups.forEach(function (group, number) {
      const language = field(group, "language");
      const channel = field(group, "channel");
      const chip = document.createElement("a");
      chip.href = "#";
      chip.textContent = [language, channel]
        .map(function (select) { return select ? select.selectedOptions[0].textContent : ""; })
        .filter(Boolean).join(" · ");
      chip.addEventListener("click", function (event) { event.preventDefault(); pick(number); });
      bar.append(chip);
    });
    groups[0].before(bar);
    const wrong = groups.findIndex(function (group) { return group.querySelector(".errorlist, .errors"); });
    pick(Math.max(wrong, 0));
  }

  document.addEventListener("DOMContentLoaded", async function () {
    const first = document.querySelector("textarea[data-render]");
    if (!first) return;
    const names = await (await fetch(first.dataset.names)).json();
    const all = [...document.querySelectorAll("textarea[data-render]")].map(function (body) {
      return body.closest(".form-group");
    });
    const written = all.filter(function (group) { return !group.classList.contains("empty-form"); });
    written.forEach(function (group) { edit(group, names); });
    tabs(written);
    // A text that is added later is a copy of the empty form.
    document.addEventListener("formset:added", function (event) {
      const group = event.target.closest(".form-group") || event.target;
      if (!field(group, "body")) return;
      edit(group, names);
      group.dispatchEvent(new Event("sol:picked"));
    });
  });
})();
