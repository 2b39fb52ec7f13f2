"use strict";
// What every page has: dark or light, larger images under the pointer, cards that are searched and ordered.
const root = document.documentElement;
root.classList.add("has-js");
const byId = (id) => document.getElementById(id);
const make = (tag, text, name) => {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text; // never as HTML: names come from the data
  if (name) element.className = name;
  return element;
};
const dataOf = (id) => (byId(id) ? JSON.parse(byId(id).textContent) : null);

function remember(key, value) {
  try {
    if (value === undefined) return localStorage.getItem(key);
    localStorage.setItem(key, value);
  } catch (refused) {
    return null; // a browser may keep nothing for pages from the disk
  }
  return null;
}

const isDark = () =>
  root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
const kept = remember("ncd-theme");
if (kept === "dark" || kept === "light") root.dataset.theme = kept;
byId("theme").addEventListener("click", () => {
  root.dataset.theme = isDark() ? "light" : "dark";
  remember("ncd-theme", root.dataset.theme);
  dispatchEvent(new Event("themechange"));
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => dispatchEvent(new Event("themechange")));

addEventListener("beforeprint", () => {
  for (const fold of document.querySelectorAll("details:not([open])")) {
    fold.open = true;
    fold.dataset.folded = "";
  }
});
addEventListener("afterprint", () => {
  for (const fold of document.querySelectorAll("details[data-folded]")) {
    fold.open = false;
    delete fold.dataset.folded;
  }
});

const tip = byId("tip");
function showTip(x, y, parts) {
  tip.replaceChildren(...parts);
  tip.hidden = false;
  const { width, height } = tip.getBoundingClientRect();
  const left = x + 16 + width > innerWidth ? x - 16 - width : x + 16;
  const top = y + 16 + height > innerHeight ? y - 12 - height : y + 16;
  tip.style.left = `${Math.max(4, left)}px`;
  tip.style.top = `${Math.max(4, top)}px`;
}
const hideTip = () => (tip.hidden = true);

// An image of the sheets at another size. `place`: number on all sheets, `across` and `sheet` as in the data.
function picture(sheetName, x, y, size) {
  const image = make("span", undefined, `thumb ${sheetName}`);
  image.style.setProperty("--x", x);
  image.style.setProperty("--y", y);
  image.style.setProperty("--size", `${size}px`);
  return image;
}
const shownSide = (native) => Math.max(96, Math.min(192, native * 2));

document.addEventListener("pointerover", (event) => {
  const thumb = event.target.closest && event.target.closest("main .thumb[data-key]");
  if (!thumb) return;
  const style = getComputedStyle(thumb);
  const sheet = [...thumb.classList].find((name) => /^s\d+$/.test(name));
  const size = shownSide(Number(style.getPropertyValue("--native")) || 48);
  const large = picture(sheet, style.getPropertyValue("--x"), style.getPropertyValue("--y"), size);
  showTip(event.clientX, event.clientY, [large, make("bdi", thumb.dataset.key)]);
  thumb.addEventListener("pointerleave", hideTip, { once: true });
});

// Images of few pixels are shown as such, not blurred.
for (const [number, side] of ((dataOf("map-data") || {}).images || { sides: [] }).sides.entries())
  if (side <= 32) for (const thumb of document.querySelectorAll(`.s${number}`)) thumb.style.imageRendering = "pixelated";

const cards = [...document.querySelectorAll(".card")];
if (cards.length) {
  const state = { show: "all", find: "" };
  const buttons = [...document.querySelectorAll("[data-show]")];
  const update = () => {
    let shown = 0;
    for (const card of cards) {
      const kind = state.show === "all" || card.dataset.kind === state.show;
      card.hidden = !(kind && card.dataset.find.toLowerCase().includes(state.find));
      if (!card.hidden) shown += 1;
    }
    byId("cluster-count").textContent = `${shown} of ${cards.length} shown`;
    for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.show === state.show));
  };
  for (const button of buttons)
    button.addEventListener("click", () => {
      state.show = button.dataset.show;
      update();
    });
  byId("cluster-find").addEventListener("input", (event) => {
    state.find = event.target.value.trim().toLowerCase();
    update();
  });
  const orders = {
    given: () => 0,
    size: (a, b) => b.dataset.size - a.dataset.size,
    confidence: (a, b) => a.dataset.confidence - b.dataset.confidence,
    purity: (a, b) => a.dataset.purity - b.dataset.purity,
    number: (a, b) => a.dataset.number - b.dataset.number,
  };
  byId("cluster-order").addEventListener("change", (event) => {
    const sorted = [...cards].sort(orders[event.target.value]); // stable: equal ones keep the order given
    sorted[0].parentElement.append(...sorted);
  });
  // A link to a card that the filter hides shows it again.
  addEventListener("hashchange", () => {
    const target = byId(decodeURIComponent(location.hash.slice(1)));
    if (target && target.hidden) {
      Object.assign(state, { show: "all", find: "" });
      byId("cluster-find").value = "";
      update();
      target.scrollIntoView();
    }
  });
  update();
}
