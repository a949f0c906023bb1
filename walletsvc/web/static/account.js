// Renews the code on the card before it is out of date. Without this the page reloads itself.
"use strict";
(() => {
  const box = document.getElementById("live");
  if (!box) return;
  const turn = Number(box.dataset.turn);
  const ring = box.querySelector(".ring-left");
  const fine = box.querySelector(".live-fine");
  const late = box.querySelector(".live-late");
  let timer = 0;
  let ends = 0;
  let tries = 0;

  const isLate = (yes) => {
    box.classList.toggle("late", yes);
    late.hidden = !yes;
    fine.hidden = yes;
  };

  const lasts = (seconds) => {
    ends = performance.now() + seconds * 1000;
    tries = 0;
    isLate(false);
    ring.classList.remove("runs");
    ring.getBoundingClientRect(); // begins the animation anew
    ring.style.animationDuration = `${turn}s`;
    ring.style.animationDelay = `${seconds - turn}s`;
    ring.classList.add("runs");
    again(seconds * 1000 + 150);
  };

  const again = (milliseconds) => {
    clearTimeout(timer);
    timer = setTimeout(renew, milliseconds);
  };

  const renew = async () => {
    if (document.hidden) return; // whoever comes back gets a new one at once
    try {
      const answer = await fetch(box.dataset.code, { cache: "no-store", redirect: "error" });
      if (answer.status === 401) {
        location.reload();
        return;
      }
      if (!answer.ok) throw new Error(String(answer.status));
      const parsed = new DOMParser().parseFromString(await answer.text(), "image/svg+xml");
      const drawn = document.importNode(parsed.documentElement, true);
      box.querySelector(".live-code").replaceChildren(drawn);
      lasts(Number(answer.headers.get("X-Code-Seconds")));
    } catch {
      tries += 1;
      if (performance.now() > ends) isLate(true);
      again(Math.min(1000 * 2 ** tries, 15000));
    }
  };

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) clearTimeout(timer);
    else if (performance.now() > ends - 1000) renew();
    else again(ends - performance.now() + 150);
  });
  window.addEventListener("online", renew);
  window.addEventListener("pageshow", (event) => {
    if (event.persisted) renew();
  });
  lasts(Number(box.dataset.seconds));
})();
