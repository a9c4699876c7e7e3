"use strict";
(() => {
  // Sorting and searching; everything else on this page works without a script.
  const list = document.getElementById("rows");
  const number = (row, key) => (key in row.dataset ? Number(row.dataset[key]) : -Infinity);
  const place = new Map();
  const bar = document.createElement("div");
  bar.className = "sort";
  const keys = [["newest", null], ["gain", "g"], ["value", "v"]];
  let chosen = 0;
  let down = true;
  const sorted = () => {
    const key = keys[chosen][1];
    const rows = [...list.children];
    const by = key ? (a, b) => number(b, key) - number(a, key) : (a, b) => order(a) - order(b);
    rows.sort((a, b) => (down ? by(a, b) : by(b, a)));
    list.append(...rows);
  };
  const order = (row) => place.get(row);
  const buttons = keys.map(([name], index) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = name;
    button.setAttribute("aria-pressed", String(index === 0));
    button.onclick = () => {
      down = chosen === index ? !down : true;
      chosen = index;
      buttons.forEach((each, other) => each.setAttribute("aria-pressed", String(other === index)));
      sorted();
    };
    return button;
  });
  const search = document.createElement("input");
  search.type = "search";
  search.placeholder = "search titles and reasons";
  search.setAttribute("aria-label", "search");
  const filter = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of list.children) {
      const text = words.length ? row.textContent.toLowerCase() : "";
      row.hidden = !words.every((word) => text.includes(word));
    }
  };
  search.oninput = filter;
  bar.append("sort by", ...buttons, search);
  document.querySelector("#experiments > h2").after(bar);
  [...list.children].forEach((row, index) => place.set(row, index));
  let first = 0;
  window.swarmList = {
    added: (row) => { first -= 1; place.set(row, first); list.prepend(row); },
    replaced: (old, row) => { place.set(row, place.get(old)); place.delete(old); old.replaceWith(row); },
    changed: () => { sorted(); filter(); },
  };
  // A point that is tapped shows its row, also where a filter hides it.
  const open = () => {
    const body = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const row = body && body.closest("details.x");
    if (!row) return;
    if (row.hidden) { search.value = ""; filter(); }
    if (getComputedStyle(row).display === "none") document.getElementById("f-all").checked = true;
    row.open = true;
    row.scrollIntoView({ block: "center" });
  };
  addEventListener("hashchange", open);
  if (location.hash) open();
})();
