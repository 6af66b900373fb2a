/* Owns a small stand-in for Stripe.js: the calls the portal makes, served by the sandbox. */
(function () {
  "use strict";
  var base = new URL(document.currentScript.src).origin;

  function form(data) {
    var out = new URLSearchParams();
    (function walk(value, name) {
      Object.keys(value).forEach(function (key) {
        var path = name ? name + "[" + key + "]" : key;
        if (value[key] !== null && typeof value[key] === "object") walk(value[key], path);
        else if (value[key] !== undefined && value[key] !== null) out.append(path, value[key]);
      });
    })(data, "");
    return out;
  }

  function call(key, method, path, data) {
    var options = { method: method, headers: { Authorization: "Bearer " + key } };
    var url = base + path;
    if (method === "GET") url += "?" + form(data);
    else options.body = form(data);
    return fetch(url, options)
      .then(function (response) { return response.json(); })
      .catch(function () {
        return { error: { type: "api_connection_error", message: "We are experiencing issues connecting to our payments provider. Please check your internet connection and try again." } };
      });
  }

  var TEXTS = {
    en: ["Card number", "Expiration date", "Security code", "MM / YY", "Your bank wants to check that it is you.", "Complete authentication", "Fail authentication", "Your card number is incomplete.", "Your card's expiration date is incomplete.", "Your card's security code is incomplete."],
    it: ["Numero di carta", "Data di scadenza", "Codice di sicurezza", "MM / AA", "La tua banca vuole verificare la tua identità.", "Completa l'autenticazione", "Rifiuta l'autenticazione", "Il numero di carta è incompleto.", "La data di scadenza della carta è incompleta.", "Il codice di sicurezza della carta è incompleto."],
    fr: ["Numéro de carte", "Date d'expiration", "Code de sécurité", "MM / AA", "Votre banque veut vérifier votre identité.", "Terminer l'authentification", "Refuser l'authentification", "Le numéro de carte est incomplet.", "La date d'expiration est incomplète.", "Le code de sécurité est incomplet."],
    de: ["Kartennummer", "Ablaufdatum", "Prüfziffer", "MM / JJ", "Ihre Bank möchte Ihre Identität prüfen.", "Authentifizierung abschließen", "Authentifizierung ablehnen", "Die Kartennummer ist unvollständig.", "Das Ablaufdatum ist unvollständig.", "Die Prüfziffer ist unvollständig."],
    es: ["Número de tarjeta", "Fecha de caducidad", "Código de seguridad", "MM / AA", "Su banco quiere comprobar su identidad.", "Completar la autenticación", "Rechazar la autenticación", "El número de tarjeta está incompleto.", "La fecha de caducidad está incompleta.", "El código de seguridad está incompleto."],
    pl: ["Numer karty", "Data ważności", "Kod zabezpieczający", "MM / RR", "Bank chce potwierdzić Twoją tożsamość.", "Zakończ uwierzytelnianie", "Odrzuć uwierzytelnianie", "Numer karty jest niepełny.", "Data ważności jest niepełna.", "Kod zabezpieczający jest niepełny."]
  };

  function field(holder, id, label, attributes) {
    var row = document.createElement("div");
    row.className = "StripeSandbox-field";
    row.style.margin = "0 0 .75rem";
    var caption = document.createElement("label");
    caption.htmlFor = id;
    caption.textContent = label;
    caption.style.display = "block";
    var input = document.createElement("input");
    input.id = id;
    input.type = "text";
    input.inputMode = "numeric";
    input.style.cssText = "width:100%;padding:.6rem;font:inherit;box-sizing:border-box;border:1px solid #8792a2;border-radius:6px;background:#fff;color:#1a1f36";
    Object.keys(attributes).forEach(function (name) { input.setAttribute(name, attributes[name]); });
    row.append(caption, input);
    holder.append(row);
    return input;
  }

  function elementsOf(options) {
    var texts = TEXTS[String(options.locale || "en").slice(0, 2)] || TEXTS.en;
    var made = { options: options, texts: texts, inputs: null, listeners: {} };
    made.tell = function (name, data) {
      (made.listeners[name] || []).forEach(function (listener) { listener(data); });
    };
    var element = {
      on: function (name, listener) {
        (made.listeners[name] = made.listeners[name] || []).push(listener);
        if (name === "ready" && made.inputs) setTimeout(listener, 0, { elementType: "payment" });
        return element;
      },
      mount: function (target) {
        var holder = typeof target === "string" ? document.querySelector(target) : target;
        if (!holder) throw new Error("The selector you specified (" + target + ") applies to no DOM elements that are currently on the page.");
        holder.replaceChildren();
        made.holder = holder;
        made.inputs = {
          number: field(holder, "stripe-card-number", texts[0], { autocomplete: "cc-number", name: "stripe-number", placeholder: "1234 1234 1234 1234" }),
          expiry: field(holder, "stripe-card-expiry", texts[1], { autocomplete: "cc-exp", name: "stripe-expiry", placeholder: texts[3] }),
          cvc: field(holder, "stripe-card-cvc", texts[2], { autocomplete: "cc-csc", name: "stripe-cvc", placeholder: "CVC" })
        };
        Object.keys(made.inputs).forEach(function (name) {
          made.inputs[name].addEventListener("input", function () {
            made.tell("change", { elementType: "payment", complete: !problemOf(made), empty: !made.inputs.number.value, value: { type: "card" } });
          });
        });
        setTimeout(made.tell, 0, "ready", { elementType: "payment" });
        return element;
      },
      unmount: function () { if (made.holder) made.holder.replaceChildren(); made.inputs = null; },
      destroy: function () { element.unmount(); },
      focus: function () { if (made.inputs) made.inputs.number.focus(); },
      update: function () {}
    };
    made.api = {
      create: function (kind) {
        if (kind !== "payment" && kind !== "card") throw new Error("The sandbox knows the payment element only.");
        made.element = element;
        return element;
      },
      getElement: function () { return made.element || null; },
      submit: function () {
        var problem = problemOf(made);
        return Promise.resolve(problem ? { error: problem } : { selectedPaymentMethod: "card" });
      },
      update: function (changes) { Object.assign(options, changes); },
      _made: made
    };
    return made.api;
  }

  function problemOf(made) {
    var number = made.inputs.number.value.replace(/\D/g, "");
    var expiry = made.inputs.expiry.value.replace(/\D/g, "");
    var problem = null;
    if (number.length < 12) problem = [7, "incomplete_number", "number"];
    else if (expiry.length < 4) problem = [8, "incomplete_expiry", "expiry"];
    else if (made.inputs.cvc.value.replace(/\D/g, "").length < 3) problem = [9, "incomplete_cvc", "cvc"];
    Object.keys(made.inputs).forEach(function (name) {
      made.inputs[name].setAttribute("aria-invalid", String(!!problem && problem[2] === name));
    });
    return problem && { type: "validation_error", code: problem[1], message: made.texts[problem[0]] };
  }

  function authenticate(texts) {
    return new Promise(function (resolve) {
      var dialog = document.createElement("dialog");
      dialog.setAttribute("aria-labelledby", "stripe-3ds-title");
      var title = document.createElement("p");
      title.id = "stripe-3ds-title";
      title.textContent = texts[4];
      dialog.append(title);
      [["pass", texts[5]], ["fail", texts[6]]].forEach(function (choice) {
        var button = document.createElement("button");
        button.type = "button";
        button.textContent = choice[1];
        button.style.marginRight = ".5rem";
        button.addEventListener("click", function () { dialog.close(); dialog.remove(); resolve(choice[0]); });
        dialog.append(button);
      });
      dialog.addEventListener("cancel", function () { dialog.remove(); resolve("fail"); });
      document.body.append(dialog);
      dialog.showModal();
    });
  }

  window.Stripe = function (key) {
    if (!/^pk_/.test(key || "")) throw new Error("Please call Stripe() with your publishable key.");

    function confirm(kind, field, request) {
      var made = request.elements && request.elements._made;
      var texts = made ? made.texts : TEXTS.en;
      var secret = request.clientSecret || (made && made.options.clientSecret);
      var parameters = request.confirmParams || {};
      var path = "/v1/" + kind + "/" + String(secret).split("_secret_")[0];
      var data = { client_secret: secret };
      if (parameters.payment_method) data.payment_method = parameters.payment_method;
      else {
        var problem = problemOf(made);
        if (problem) return Promise.resolve({ error: problem });
        var expiry = made.inputs.expiry.value.replace(/\D/g, "");
        data.payment_method_data = {
          type: "card",
          card: {
            number: made.inputs.number.value.replace(/\D/g, ""),
            exp_month: Number(expiry.slice(0, 2)),
            exp_year: Number(expiry.slice(2)),
            cvc: made.inputs.cvc.value.replace(/\D/g, "")
          },
          billing_details: (parameters.payment_method_data || {}).billing_details || {}
        };
      }
      return call(key, "POST", path + "/confirm", data).then(function next(answer) {
        if (answer.status === "requires_action") {
          return authenticate(texts).then(function (outcome) {
            return call(key, "POST", path + "/_authenticate", { client_secret: secret, outcome: outcome });
          }).then(next);
        }
        if (answer.error) return { error: answer.error };
        if (request.redirect !== "if_required" && parameters.return_url) {
          var back = new URL(parameters.return_url, location.href);
          back.searchParams.set(field === "setupIntent" ? "setup_intent" : "payment_intent", answer.id);
          back.searchParams.set("redirect_status", answer.status);
          location.assign(back);
          return new Promise(function () {});
        }
        var out = {};
        out[field] = answer;
        return out;
      });
    }

    function retrieve(kind, field) {
      return function (secret) {
        return call(key, "GET", "/v1/" + kind + "/" + String(secret).split("_secret_")[0], { client_secret: secret })
          .then(function (answer) {
            if (answer.error) return { error: answer.error };
            var out = {};
            out[field] = answer;
            return out;
          });
      };
    }

    return {
      elements: function (options) { return elementsOf(options || {}); },
      confirmSetup: function (request) { return confirm("setup_intents", "setupIntent", request); },
      confirmPayment: function (request) { return confirm("payment_intents", "paymentIntent", request); },
      retrieveSetupIntent: retrieve("setup_intents", "setupIntent"),
      retrievePaymentIntent: retrieve("payment_intents", "paymentIntent")
    };
  };
  window.Stripe.version = "sandbox";
})();
