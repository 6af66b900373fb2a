/* Owns the card form: asks for a setup intent, shows the processor's own fields, and submits the result once. */
(function () {
  "use strict";
  var form = document.getElementById("card-form");
  var button = document.getElementById("card-submit");
  var holder = document.getElementById("payment-element");
  var loading = document.getElementById("card-loading");
  var problem = document.getElementById("card-problem");
  var fallback = document.getElementById("without-script");
  var stripe, elements;

  function tell(text) {
    problem.textContent = text || "";
    problem.hidden = !text;
  }

  function busy(yes) {
    button.disabled = yes;
    button.classList.toggle("busy", yes);
    button.setAttribute("aria-busy", String(yes));
  }

  function fail(text) {
    loading.hidden = true;
    fallback.hidden = false;
    fallback.querySelector(".notice").hidden = true;
    tell(text || form.dataset.failed);
  }

  function finish(id) {
    document.getElementById("setup-intent").value = id;
    form.submit();
  }

  function mount(intent) {
    var dark = window.matchMedia("(prefers-color-scheme: dark)").matches;
    stripe = window.Stripe(form.dataset.key, { locale: form.dataset.language });
    elements = stripe.elements({
      clientSecret: intent.client_secret,
      locale: form.dataset.language,
      appearance: { theme: dark ? "night" : "stripe" }
    });
    var element = elements.create("payment");
    element.on("ready", function () {
      loading.hidden = true;
      button.hidden = false;
    });
    element.on("loaderror", function () { fail(); });
    holder.hidden = false;
    element.mount(holder);
  }

  form.addEventListener("submit", function (event) {
    event.preventDefault();
    if (!elements || button.disabled) return;
    tell("");
    busy(true);
    stripe.confirmSetup({
      elements: elements,
      redirect: "if_required",
      confirmParams: { return_url: form.dataset.returnUrl }
    }).then(function (result) {
      if (result.error) {
        // A card that was already confirmed and a page come back to: go on with what is there.
        var known = result.error.setup_intent;
        if (known && known.status === "succeeded") return finish(known.id);
        tell(result.error.message);
        return busy(false);
      }
      finish(result.setupIntent.id);
    }).catch(function () {
      busy(false);
      tell(form.dataset.failed);
    });
  });

  // A page taken out of the back/forward cache would show a spent form.
  window.addEventListener("pageshow", function (event) { if (event.persisted) location.reload(); });

  fallback.hidden = true;
  loading.hidden = false;
  if (!window.Stripe) return fail();
  fetch(form.dataset.intentUrl, {
    method: "POST",
    credentials: "same-origin",
    headers: { "X-CSRFToken": form.elements.csrfmiddlewaretoken.value, Accept: "application/json" }
  }).then(function (response) {
    return response.json().then(function (answer) { return response.ok ? mount(answer) : fail(answer.message); });
  }).catch(function () { fail(); });
})();
