// What the pages do beyond HTML: choosing tiles, keeping what is open open while pieces are swapped,
// and following the server's stream only while somebody looks.
"use strict";

// Browsers open six connections to a server, and a stream takes one for as long as its page is
// open: a page that is hidden gives it back, and asks for what it has missed when it is seen again.
const marks = new Map();

class LiveSource extends EventTarget {
  constructor(url) {
    super();
    this.url = url;
    this.names = new Set();
    this.ended = false;
    this.look = () => (document.hidden ? this.rest() : this.connect());
    document.addEventListener("visibilitychange", this.look);
    this.look();
  }

  get readyState() {
    return this.inner ? this.inner.readyState : EventSource.CONNECTING;
  }

  connect() {
    if (this.ended || this.inner) return;
    const url = new URL(this.url, location.href);
    if (marks.has(this.url)) url.searchParams.set("since", marks.get(this.url));
    this.inner = new EventSource(url);
    this.inner.onopen = (event) => this.onopen && this.onopen(event);
    this.inner.onerror = (event) => this.onerror && this.onerror(event);
    this.inner.addEventListener("gone", () => location.reload());
    this.names.forEach((name) => this.pass(name));
  }

  rest() {
    if (this.inner) this.inner.close();
    this.inner = null;
  }

  close() {
    this.ended = true;
    document.removeEventListener("visibilitychange", this.look);
    this.rest();
  }

  pass(name) {
    this.inner.addEventListener(name, (event) => {
      if (event.lastEventId) marks.set(this.url, event.lastEventId);
      this.dispatchEvent(new MessageEvent(name, { data: event.data }));
    });
  }

  addEventListener(name, listener) {
    super.addEventListener(name, listener);
    if (this.names.has(name)) return;
    this.names.add(name);
    if (this.inner) this.pass(name);
  }
}

htmx.createEventSource = (url) => new LiveSource(url);

const lost = document.getElementById("lost");
document.addEventListener("htmx:sseError", () => (lost.hidden = false));
document.addEventListener("htmx:sseOpen", () => (lost.hidden = true));
document.addEventListener("htmx:sseMessage", () => (lost.hidden = true));

// A piece that is swapped in comes with everything closed and nothing focused.
let focused = null;
document.addEventListener("htmx:oobBeforeSwap", (event) => {
  const { target, fragment } = event.detail;
  for (const one of target.querySelectorAll("details[open][id]")) {
    const next = fragment.querySelector("#" + CSS.escape(one.id));
    if (next) next.open = true;
  }
  const active = document.activeElement;
  focused = active && active.id && target.contains(active) ? active.id : null;
});
document.addEventListener("htmx:oobAfterSwap", () => {
  const again = focused && document.getElementById(focused);
  if (again) again.focus({ preventScroll: true });
  focused = null;
});

const all = document.getElementById("all");
const chosen = document.getElementById("chosen");
if (all && chosen) {
  const boxes = [...document.querySelectorAll("input[name=device]")];
  const count = () => {
    const number = boxes.filter((box) => box.checked).length;
    chosen.textContent = number ? `${number} chosen` : "none chosen";
    all.checked = number > 0 && number === boxes.length;
    all.indeterminate = number > 0 && number < boxes.length;
  };
  all.addEventListener("change", () => {
    for (const box of boxes) box.checked = all.checked;
    count();
  });
  for (const box of boxes) box.addEventListener("change", count);
  count();
}

const full = document.getElementById("full");
if (full && document.fullscreenEnabled) {
  full.hidden = false;
  full.addEventListener("click", () => document.documentElement.requestFullscreen());
}

// A console: what comes is appended; the end is kept in view by whoever is at the end, and no page
// grows without bound.
const printed = document.getElementById("console");
if (printed && printed.matches("pre")) {
  const most = 2000;
  let atEnd = true;
  printed.addEventListener("scroll", () => {
    atEnd = printed.scrollTop + printed.clientHeight > printed.scrollHeight - 24;
  });
  new MutationObserver(() => {
    while (printed.childElementCount > most) printed.firstElementChild.remove();
    if (atEnd) printed.scrollTop = printed.scrollHeight;
  }).observe(printed, { childList: true });
  printed.scrollTop = printed.scrollHeight;
}
