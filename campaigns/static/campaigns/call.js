// The call form: shows what the chosen outcome asks for, and times the call. Without it every field is there.
"use strict";
document.addEventListener("DOMContentLoaded", function () {
  const radios = document.querySelectorAll("input[name=outcome]");
  if (!radios.length) return;

  function chosen() {
    const radio = document.querySelector("input[name=outcome]:checked");
    return radio ? radio.value : "";
  }
  function refresh() {
    const outcome = chosen();
    for (const field of document.querySelectorAll("[data-field]")) {
      const asker = field.querySelector("[data-when]");
      if (asker) field.hidden = !asker.dataset.when.split(" ").includes(outcome);
    }
    for (const words of document.querySelectorAll(".sol-call-next")) words.hidden = words.dataset.when !== outcome;
  }
  for (const radio of radios) radio.addEventListener("change", refresh);
  refresh();

  const timer = document.querySelector("[data-timer]");
  const seconds = document.querySelector("input[name=seconds]");
  if (!timer || !seconds) return;
  const shown = timer.querySelector("output");
  const button = timer.querySelector("button");
  let before = Number(seconds.value) || 0;
  let since = null;
  function passed() {
    return before + (since === null ? 0 : Math.round((Date.now() - since) / 1000));
  }
  function show() {
    const all = passed();
    shown.textContent = Math.floor(all / 60) + ":" + String(all % 60).padStart(2, "0");
    if (all || since !== null) seconds.value = all;
  }
  button.addEventListener("click", function () {
    if (since === null) {
      since = Date.now();
    } else {
      before = passed();
      since = null;
    }
    button.textContent = since === null ? button.dataset.start : button.dataset.stop;
    show();
  });
  button.form.addEventListener("submit", show);
  window.setInterval(show, 500);
  timer.hidden = false;
  show();
});
