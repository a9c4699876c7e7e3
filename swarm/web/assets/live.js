"use strict";
(() => {
  // Takes over what changed, piece by piece: what is open stays open, and where one reads nothing moves.
  const rows = document.getElementById("rows");
  const sign = document.createElement("div");
  sign.id = "link";
  document.body.append(sign);
  let version = document.body.dataset.version;
  let source = null;
  let heard = Date.now();
  const tell = (on) => { sign.textContent = on ? "live" : "reconnecting…"; sign.className = on ? "on" : "off"; };
  const element = (html) => {
    const holder = document.createElement("template");
    holder.innerHTML = html;
    return holder.content.firstElementChild;
  };
  const keys = (part) => [...part.querySelectorAll("details[open][data-key]")].map((each) => each.dataset.key);
  const replace = (name, html) => {
    const old = document.getElementById(name);
    if (!old) return;
    const fresh = element(html);
    const open = new Set(keys(old));
    fresh.querySelectorAll("details[data-key]").forEach((each) => { each.open = open.has(each.dataset.key); });
    const focused = old.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    old.replaceWith(fresh);
    if (focused) fresh.querySelector(`[href="${CSS.escape(focused)}"]`)?.focus();
  };
  const row = (name) => document.getElementById(name)?.closest("#rows > details");
  const take = (news) => {
    if (news.tag !== document.body.dataset.tag) { location.reload(); return; }
    document.title = news.title;
    for (const [name, html] of Object.entries(news.parts)) replace(name, html);
    for (const [name, html] of [...news.rows].reverse()) {
      const fresh = element(html);
      const old = row(name);
      if (old) { fresh.open = old.open; window.swarmList.replaced(old, fresh); } else window.swarmList.added(fresh);
    }
    for (const name of news.gone) row(name)?.remove();
    if (news.rows.length || news.gone.length) window.swarmList.changed();
  };
  const connect = () => {
    source?.close();
    heard = Date.now();
    source = new EventSource(`events?since=${encodeURIComponent(version)}`);
    source.onopen = () => { heard = Date.now(); tell(true); };
    source.onmessage = (event) => {
      heard = Date.now();
      tell(true);
      version = event.lastEventId || version;
      take(JSON.parse(event.data));
    };
    source.addEventListener("beat", () => { heard = Date.now(); tell(true); });
    source.onerror = () => tell(false);
  };
  connect();
  // A browser gives up after an answer that is no stream, and a lid that was closed leaves a stream that is dead.
  setInterval(() => {
    if (source.readyState === EventSource.CLOSED || Date.now() - heard > 35000) { tell(false); connect(); }
  }, 3000);
})();
