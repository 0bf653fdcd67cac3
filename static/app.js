// The little script of our own that the pages need; everything works without it.
"use strict";

const byId = (id) => document.getElementById(id);

// The reader's time zone, so that the server can write their times.
const secure = location.protocol === "https:" ? "; secure" : "";
document.cookie = `zone=${Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC"}; path=/; max-age=31536000; samesite=lax${secure}`;

const notice = (text) => { const place = byId("notice"); if (place && place.textContent !== text) place.textContent = text; };

document.addEventListener("htmx:beforeSwap", ({ detail }) => {
  // A whole page (an error, another sign-in) never goes into a part of one.
  if (!/^\s*<!doctype/i.test(detail.serverResponse)) return;
  detail.shouldSwap = false;
  notice(byId("notice").dataset.failed);
});
document.addEventListener("htmx:responseError", () => notice(byId("notice").dataset.failed));
document.addEventListener("htmx:sendError", () => notice(byId("notice").dataset.offline));
document.addEventListener("htmx:afterRequest", ({ detail }) => { if (detail.successful) notice(""); });

// The account menu closes by Escape and by a click elsewhere.
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.account[open]")) if (!menu.contains(event.target)) menu.open = false;
});
document.addEventListener("keydown", (event) => {
  const menu = event.key === "Escape" && document.querySelector("details.account[open]");
  if (menu) { menu.open = false; menu.querySelector("summary").focus(); }
});
