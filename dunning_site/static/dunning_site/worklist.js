// Keys of the worklist. They press what is on the page, so that everything works without them; they rest while
// somebody writes in a field or a dialog is open, and can be switched off (a single key must never be a trap).
(() => {
    const root = document.querySelector("[data-worklist]");
    if (!root) return;
    const help = document.getElementById("work-keys");
    const toggle = document.getElementById("work-keys-on");
    const rows = [...root.querySelectorAll("tr[data-row]")];
    const stored = "sollecito.worklist.keys";
    toggle.checked = localStorage.getItem(stored) !== "off";
    toggle.addEventListener("change", () => localStorage.setItem(stored, toggle.checked ? "on" : "off"));

    const current = () => document.activeElement.closest("tr[data-row]");
    const move = (by) => {
        const at = rows.indexOf(current());
        const row = rows[Math.min(Math.max(at + by, 0), rows.length - 1)];
        if (row) row.focus();
    };
    // Whoever comes back from an act goes on where they were, not at the top of the page.
    const place = "sollecito.worklist.place";
    root.addEventListener("click", (event) => {
        const row = event.target.closest("tr[data-row]");
        if (row && event.target.closest("[data-key]")) sessionStorage.setItem(place, rows.indexOf(row));
    });
    const before = sessionStorage.getItem(place);
    if (rows.length && before !== null) {
        sessionStorage.removeItem(place);
        rows[Math.min(Number(before), rows.length - 1)].focus();
    }
    const find = (key) => {
        const name = `[data-key="${CSS.escape(key)}"]`;
        const row = current() || rows[0];
        // On the one-by-one page the acts stand in the page's head.
        return (row && row.querySelector(name)) || root.querySelector(`:not(tr) > ${name}`) || headAct(key);
    };
    const ACTS = { c: "call", a: "claim", s: "snooze", d: "done" };
    const headAct = (key) =>
        rows.length || !ACTS[key] ? null : document.querySelector(`.sol-head .sol-actions a[href*="/do/${ACTS[key]}/"]`);

    // A menu somebody has left does not lie over the rows.
    const shut = (but) => document.querySelectorAll("details.sol-more[open]").forEach((menu) => {
        if (menu !== but) menu.open = false;
    });
    document.addEventListener("click", (event) => shut(event.target.closest("details.sol-more")));
    document.addEventListener("focusin", (event) => shut(event.target.closest("details.sol-more")));
    document.addEventListener("keydown", (event) => {
        const menu = event.key === "Escape" && document.activeElement.closest("details.sol-more[open]");
        if (menu) { menu.open = false; menu.querySelector("summary").focus(); }
    });

    root.querySelector('[data-key="?"]').addEventListener("click", () => help.showModal());
    document.addEventListener("keydown", (event) => {
        const typing = event.target.closest("input, textarea, select, [contenteditable]");
        if (typing || help.open || event.ctrlKey || event.metaKey || event.altKey || event.repeat && event.key !== "j" && event.key !== "k") return;
        if (event.key === "?") { event.preventDefault(); help.showModal(); return; }
        if (!toggle.checked) return;
        if (event.key === "j" || event.key === "k") { event.preventDefault(); move(event.key === "j" ? 1 : -1); return; }
        if (event.key === "Enter" && !event.target.matches("tr[data-row]")) return;
        if (!["Enter", "a", "c", "d", "m", "n", "s", "u"].includes(event.key)) return;
        const act = find(event.key);
        if (act) { event.preventDefault(); act.click(); }
    });
})();
