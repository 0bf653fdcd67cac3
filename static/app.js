// The little script of our own that the pages need; everything works without it.
"use strict";

const byId = (id) => document.getElementById(id);

// The reader's time zone, so that the server can write their times.
const secure = location.protocol === "https:" ? "; secure" : "";
document.cookie = `zone=${Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC"}; path=/; max-age=31536000; samesite=lax${secure}`;

// How long ago, kept true while the page stays open: the server wrote it in the same words.
function ago() {
  for (const place of document.querySelectorAll("time[data-ago]")) {
    const seconds = Math.max(0, Math.floor((Date.now() - new Date(place.dateTime)) / 1000));
    const [minutes, hours, days] = [60, 3600, 86400].map((length) => Math.floor(seconds / length));
    const [form, numbers] = days ? ["d", [days, hours % 24]] : hours ? ["h", [hours, String(minutes % 60).padStart(2, "0")]] : minutes ? ["m", [minutes]] : ["s", [seconds]];
    place.textContent = place.dataset.ago.split("|")["smhd".indexOf(form)].replace(/%\d/g, (place) => numbers[place[1] - 1]);
  }
}

const notice = (text) => { const place = byId("notice"); if (place && place.textContent !== text) place.textContent = text; };

document.addEventListener("htmx:beforeSwap", ({ detail }) => {
  // A whole page (an error, another sign-in) never goes into a part of one.
  if (!/^\s*<!doctype/i.test(detail.serverResponse)) return;
  detail.shouldSwap = false;
  failed(detail, "failed");
});
// What became of a press stays until the next one; what a look for news was told goes with the next look that succeeds.
let pressed = false;
const isPress = (detail) => detail.requestConfig.verb !== "get";
function failed(detail, why) {
  notice(byId("notice").dataset[why]);
  pressed ||= isPress(detail);
}
document.addEventListener("htmx:responseError", ({ detail }) => failed(detail, detail.xhr.status === 503 ? "away" : "failed"));
document.addEventListener("htmx:sendError", ({ detail }) => failed(detail, "offline"));
document.addEventListener("htmx:beforeRequest", ({ detail }) => { if (isPress(detail)) { pressed = false; notice(""); } });
document.addEventListener("htmx:afterRequest", ({ detail }) => { if (detail.successful && !pressed) notice(""); });
document.addEventListener("DOMContentLoaded", () => setInterval(ago, 15000));

// The account menu closes by Escape and by a click elsewhere.
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.account[open]")) if (!menu.contains(event.target)) menu.open = false;
});
document.addEventListener("keydown", (event) => {
  const menu = event.key === "Escape" && document.querySelector("details.account[open]");
  if (menu) { menu.open = false; menu.querySelector("summary").focus(); }
});
