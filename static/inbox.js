// The inbox: a list that keeps its place while it changes, and keys for those who like them; everything works without it.
"use strict";

const rows = byId("rows"), sheet = byId("sheet");
const links = () => Array.from(rows.querySelectorAll("a.what"));
const boxes = () => Array.from(rows.querySelectorAll(".pick input"));
const chosen = () => boxes().filter((box) => box.checked);
const verdictForm = () => sheet.querySelector("form.verdict");

// --- the list ---

// The open request stays marked when the list or the sheet was swapped.
function mark() {
  const open = sheet.querySelector("[data-open]")?.dataset.open;
  for (const link of links()) {
    if (link.id === `row-${open}`) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
}

// New rows are said to those who cannot see them come; so is what became of a request.
const waiting = () => new Set(Array.from(rows.querySelectorAll(".row:not(.done) .what"), (row) => row.id));
const counted = (place, number) => number === 1 ? place.dataset.one : place.dataset.more.replace("%n", number);
let known = waiting();
function tellNews() {
  const now = waiting();
  const fresh = Array.from(now).filter((id) => !known.has(id)).length;
  known = now;
  if (fresh) byId("news").textContent = counted(byId("news"), fresh);
}

// What is selected and what stands at the top stay so when the list is swapped; at its very top new rows may push in.
let kept = null;
function keepPlace() {
  const top = Math.max(rows.getBoundingClientRect().top, 0);
  const scrolled = rows.scrollTop > 0 || rows.getBoundingClientRect().top < 0;
  const first = scrolled && links().find((link) => link.getBoundingClientRect().top >= top);
  kept = { first: first?.id, y: first && first.getBoundingClientRect().top, chosen: chosen().map((box) => box.id) };
}
function findPlace() {
  for (const box of boxes()) box.checked = kept.chosen.includes(box.id);
  const moved = byId(kept.first) ? byId(kept.first).getBoundingClientRect().top - kept.y : 0;
  if (rows.scrollHeight > rows.clientHeight) rows.scrollTop += moved;
  else if (moved) window.scrollBy({ top: moved, behavior: "instant" });
  count();
}

// The time that is left, every quarter of a minute.
function countDown() {
  for (const place of document.querySelectorAll("[data-until]")) {
    const minutes = Math.floor((new Date(place.dataset.until) - Date.now()) / 60000);
    const hours = Math.floor(minutes / 60);
    const form = hours ? sheet.dataset.hours : sheet.dataset.minutes;
    const left = form.replace("%h", hours).replace("%m", hours ? String(minutes % 60).padStart(2, "0") : minutes);
    if (minutes < 0) place.textContent = place.dataset.over;
    else if (minutes > 0 && hours < 24) place.textContent = place.dataset.form.replace("%s", left);
    place.closest("dd")?.classList.toggle("soon", hours < 1);
  }
}
setInterval(countDown, 15000);

// --- selecting ---

let last = "";
const count = () => { byId("chosen").textContent = counted(byId("chosen"), chosen().length); };
function choose(box, on, range) {
  const all = boxes(), from = range ? all.findIndex((each) => each.id === last) : -1;
  const [first, end] = [from < 0 ? all.indexOf(box) : from, all.indexOf(box)].sort((a, b) => a - b);
  for (const each of all.slice(first, end + 1)) each.checked = on;
  last = box.id;
  count();
}
function chooseNone() {
  for (const box of boxes()) box.checked = false;
  count();
}
rows.addEventListener("click", (event) => {
  if (event.target.matches(".pick input")) choose(event.target, event.target.checked, event.shiftKey);
});

// --- deciding ---

// A rejection without its reason is asked for it here: the note gets the focus.
function askReason(form) {
  const note = form.querySelector("textarea");
  note.dataset.verdict = "rejected";
  note.focus();
}
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (event.submitter?.value !== "rejected" || form.method !== "post" || form.querySelector("textarea").value.trim()) return;
  event.preventDefault();
  event.stopPropagation();
  askReason(form);
  const needed = form.querySelector(".needed");
  if (needed) needed.hidden = false;
}, true);

// Never decides what is not in sight: with the focus on another row the first press opens that one.
function decide(verdict) {
  const form = verdictForm(), link = document.activeElement.closest("#rows .row")?.querySelector("a.what");
  if (!byId("note-several")) {
    if (chosen().length) return byId("several").querySelector(`[value=${verdict}]`).click();
    if (link && !link.hasAttribute("aria-current")) return link.click();
  }
  const button = form?.querySelector(`button[value=${verdict}]`);
  if (!button) return;
  if (verdict === "rejected" && !form.querySelector("textarea").value.trim()) askReason(form);
  else button.click();
}

// --- keys ---

const here = () => document.activeElement.closest("#rows .row") ?? rows.querySelector(".row:has([aria-current])");
function move(step) {
  const all = links(), at = all.indexOf(here()?.querySelector("a.what"));
  all[Math.min(Math.max(at + step, 0), all.length - 1)]?.focus();
}
function leave() {
  if (byId("leave")) byId("leave").click();
  else chooseNone();
}
const keys = {
  j: () => move(1),
  k: () => move(-1),
  a: () => decide("approved"),
  r: () => decide("rejected"),
  x: (event) => { const box = here()?.querySelector(".pick input"); if (box) choose(box, event.shiftKey || !box.checked, event.shiftKey); },
  "/": () => byId("q").focus(),
  "?": () => byId("help").showModal(),
  escape: leave,
};
const areOn = () => localStorage.getItem("keys") !== "off";
const isTyping = (place) => place.closest("textarea, select, input:not([type=checkbox]), [contenteditable]");

document.addEventListener("keydown", (event) => {
  const place = event.target, key = event.key.toLowerCase();
  if (isTyping(place)) return typing(event, place);
  if (!areOn() || event.ctrlKey || event.metaKey || event.altKey || event.isComposing || byId("help").open) return;
  if ((event.shiftKey && !["x", "?", "/"].includes(key)) || (event.repeat && !["j", "k"].includes(key)) || !keys[key]) return;
  if (key === "escape" && document.querySelector("details[open]")) return;
  event.preventDefault();
  keys[key](event);
});
// In a field only these: Escape leaves it, Ctrl Enter sends the rejection that it was opened for.
function typing(event, place) {
  if (event.isComposing || !areOn()) return;
  if (event.key === "Escape") place.blur();
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && place.dataset.verdict) decide(place.dataset.verdict);
}

function showKeys() {
  document.documentElement.classList.toggle("keys", areOn());
  byId("keys-on").checked = areOn();
}
byId("keys").hidden = false;
byId("keys").addEventListener("click", () => byId("help").showModal());
byId("keys-on").addEventListener("change", (event) => {
  localStorage.setItem("keys", event.target.checked ? "on" : "off");
  showKeys();
});
showKeys();

// --- swaps ---

// The latest request of a person's for the sheet wins; a look for news (its element is hidden) never overtakes it.
let latest = null;
const isLook = (detail) => detail.requestConfig.elt.hidden;
// What was read again and found the same has a new tag, which spares the server the next reading.
document.addEventListener("htmx:afterRequest", ({ detail: { elt, xhr } }) => {
  const tag = xhr.status === 304 && elt.hasAttribute("hx-headers") && xhr.getResponseHeader("ETag");
  if (tag) elt.setAttribute("hx-headers", JSON.stringify({ "If-None-Match": tag }));
});
document.addEventListener("htmx:beforeRequest", ({ detail }) => {
  if (detail.target === sheet && !isLook(detail)) latest = detail.xhr;
});
const isLate = (detail) => isLook(detail) ? !detail.requestConfig.elt.isConnected || (latest?.readyState ?? 4) < 4 : detail.xhr !== latest;

document.addEventListener("htmx:beforeSwap", ({ detail }) => {
  if (detail.target === rows) keepPlace();
  if (detail.target === sheet && isLate(detail)) detail.shouldSwap = false;
});
document.addEventListener("htmx:afterSwap", ({ detail }) => {
  mark();
  if (detail.target === rows) { findPlace(); tellNews(); }
  if (sheet.querySelector("[data-done]")) chooseNone();
});
document.addEventListener("decided", () => {
  const outcome = sheet.querySelector(".outcome > p, h1[role=status]");
  if (outcome) byId("news").textContent = outcome.textContent.replace(/\s+/g, " ").trim();
});
